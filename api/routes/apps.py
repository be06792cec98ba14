"""Applications: what there is, a new one, one gone."""

from fastapi import APIRouter, Response
from pydantic import ConfigDict

from api.bodies import AppCreation, git_source, slug
from api.deps import Given, Start
from api.errors import refusals
from api.existing import check_secrets
from api.measured import measured, measured_view, recent
from api.starter import EXAMPLE, Accepted, Starter
from api.views import AppView, ComponentView, views
from iarnet import faults
from iarnet.errors import (
    AlreadyExists,
    ChangeInProgress,
    InvalidUrl,
    Missing,
    NotFound,
)
from iarnet.models.app import App
from iarnet.models.base import AppName, Value
from iarnet.models.change import ChangeRequest, ImportRequest
from iarnet.models.source import GitSource
from iarnet.store.base import Store

router = APIRouter(prefix="/apps", tags=["applications"])


class AppAccepted(Accepted):
    """The run is the import that was started."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE | {"app": "shop"}]})

    app: AppName


class Apps(Value):
    apps: list[AppView]


class Components(Value):
    components: tuple[ComponentView, ...]


@router.get("", operation_id="listApps", summary="All applications", responses=refusals())
async def list_apps(given: Given) -> Apps:
    traffic = await recent(given.gateway)
    return Apps(apps=[measured(v, traffic) for v in await views(given.store)])


@router.post(
    "",
    operation_id="createApp",
    summary="Create an application from a Git repository and import it",
    status_code=202,
    responses=refusals(InvalidUrl, NotFound, AlreadyExists, Missing),
)
async def create_app(body: AppCreation, given: Given, start: Start, response: Response) -> AppAccepted:
    git = git_source(body.url, body.ref, body.credential, body.subdir)
    await check_secrets(given.secrets, [body.credential])
    app, run = await create(given.store, start, body.name or slug("", body.url), git, body.title)
    response.headers["Location"] = run.follow
    return AppAccepted(app=app.name, **run.model_dump())


@router.get("/{app}", operation_id="getApp", summary="One application", responses=refusals(NotFound))
async def get_app(app: AppName, given: Given) -> AppView:
    return await measured_view(given, app)


@router.delete(
    "/{app}",
    operation_id="deleteApp",
    summary="Delete an application and, with `keep_data=false`, its data",
    status_code=202,
    responses=refusals(NotFound, ChangeInProgress, Missing),
)
async def delete_app(
    app: AppName, given: Given, start: Start, response: Response, keep_data: bool = True
) -> Accepted:
    run = await delete(given.store, start, app, keep_data)
    response.headers["Location"] = run.follow
    return run


@router.get(
    "/{app}/components",
    operation_id="listComponents",
    summary="The components of an application and what runs of them",
    responses=refusals(NotFound),
)
async def list_components(app: AppName, given: Given) -> Components:
    return Components(components=(await measured_view(given, app)).components)


async def create(store: Store, start: Starter, name: str, git: GitSource, title: str) -> tuple[App, Accepted]:
    """The row first, then the run: a sweep at start-up starts what has no run (DESIGN §5)."""
    app = await store.apps.create(name, git, title)
    faults.reached("app.created")
    return app, await start.import_app(ImportRequest(app=app.name), app.git.ref)


async def delete(store: Store, start: Starter, name: str, keep_data: bool) -> Accepted:
    app = await store.apps.get(name)
    return await start.change(
        "DeleteApp", ChangeRequest(app=app.name, cause="delete", fetch=False, keep_data=keep_data)
    )
