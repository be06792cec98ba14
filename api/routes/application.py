"""The documented `/application` routes, exactly as written (§3.4.2, §3.4.3)."""

import asyncio

from fastapi import APIRouter, Query, Response
from pydantic import Field

from api import shapes
from api.bodies import git_source, slug
from api.deps import Given, Start, Watch
from api.errors import refusals
from api.logs import gather
from api.measured import measured_view
from api.routes.analysis import found_analysis
from api.routes.apps import create, delete
from api.routes.logs import instances_of
from api.starter import Accepted
from api.views import view, views
from iarnet.errors import (
    AlreadyExists,
    ChangeInProgress,
    InvalidUrl,
    Missing,
    NotFound,
    NothingToRun,
)
from iarnet.models.base import AppName, ComponentName, Value
from iarnet.models.change import AnalyzeRequest, AnalyzeResult, ChangeRequest, ImportRequest, ImportResult
from iarnet.models.instance import LogQuery

router = APIRouter(prefix="/application/apps", tags=["documented"])

PATIENCE_S = 300.0


class DeployComponents(Value):
    """Empty means all. What they depend on is deployed with them."""

    components: tuple[ComponentName, ...] = Field(default=(), max_length=1000, examples=[["frontend", "backend"]])


@router.get("", operation_id="documentedApps", summary="All applications", responses=refusals())
async def list_apps(given: Given) -> shapes.ApplicationsShape:
    return shapes.ApplicationsShape(applications=[shapes.application(v) for v in await views(given.store)])


@router.post(
    "",
    operation_id="documentedCreateApp",
    summary="Create an application and import its repository",
    status_code=202,
    responses=refusals(InvalidUrl, AlreadyExists, Missing),
)
async def create_app(
    body: shapes.ApplicationCreation, given: Given, start: Start, response: Response
) -> shapes.ApplicationCreated:
    git = git_source(body.git_url, body.branch)
    app, run = await create(given.store, start, slug(body.name, body.git_url), git, body.name)
    response.headers["Location"] = f"/application/apps/{app.name}"
    shape = shapes.application(await view(given.store, app.name))
    return shapes.ApplicationCreated(**shape.model_dump(), **run.model_dump())


@router.get("/{app}", operation_id="documentedApp", summary="One application", responses=refusals(NotFound))
async def get_app(app: AppName, given: Given) -> shapes.ApplicationDetails:
    return shapes.details(await measured_view(given, app))


@router.delete(
    "/{app}",
    operation_id="documentedDeleteApp",
    summary="Delete an application with its data",
    status_code=202,
    responses=refusals(NotFound, ChangeInProgress, Missing),
)
async def delete_app(app: AppName, given: Given, start: Start) -> Accepted:
    return await delete(given.store, start, app, keep_data=False)


@router.get(
    "/{app}/components", operation_id="documentedComponents", summary="Its components", responses=refusals(NotFound)
)
async def components(app: AppName, given: Given) -> shapes.ComponentsShape:
    found = await view(given.store, app)
    return shapes.ComponentsShape(components=[shapes.component(c) for c in found.components])


@router.post(
    "/{app}/analyze",
    operation_id="documentedAnalyze",
    summary="Analyse the code and wait for the result",
    responses=refusals(NotFound, NothingToRun, Missing),
)
async def analyze(app: AppName, given: Given, start: Start, watch: Watch) -> shapes.AnalysisShape:
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await _analysed(app, given, start, watch)
    except TimeoutError:
        hint = f"look again later: GET /api/v1/apps/{app}/analysis"
        raise Missing(f"the analysis of {app!r} is not done yet", where=app, hint=hint) from None


@router.post(
    "/{app}/deploy-components",
    operation_id="documentedDeployComponents",
    summary="Deploy components, and what they depend on",
    status_code=202,
    responses=refusals(NotFound, ChangeInProgress, Missing),
)
async def deploy_components(app: AppName, given: Given, start: Start, body: DeployComponents) -> Accepted:
    await given.store.apps.get(app)
    return await start.change("DeployApp", ChangeRequest(app=app, cause="deploy", components=body.components))


@router.get("/{app}/logs", operation_id="documentedLogs", summary="Its last lines", responses=refusals(NotFound))
async def logs(
    app: AppName, given: Given, component: ComponentName | None = None, tail: int = Query(200, ge=0, le=10_000)
) -> shapes.LogsShape:
    instances = await instances_of(given.store, app, component)
    log = await gather(given.providers, given.secrets, instances, LogQuery(tail=tail))
    return shapes.LogsShape(logs=[shapes.log_line(line) for line in log.lines])


async def _analysed(app: str, given: Given, start: Start, watch: Watch) -> shapes.AnalysisShape:
    """Imports first when that has not been done, or joins the import that runs."""
    state = await given.store.apps.get(app)
    source = await given.store.facts.source(app)
    if source is None:
        run = await start.import_app(ImportRequest(app=app), state.git.ref)
        commit = (await watch.result(run.workflow_id, run.run_id, ImportResult)).commit
    else:
        commit = source.commit
    run = await start.analyze_app(AnalyzeRequest(app=app, commit=commit))
    await watch.result(run.workflow_id, run.run_id, AnalyzeResult)
    return shapes.analysis(await found_analysis(given.store, app))
