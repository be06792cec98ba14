"""Changes of an application: each is a workflow, each answer says where to follow it."""

from fastapi import APIRouter, Response

from api.bodies import (
    ChangeBody,
    ForkBody,
    RestartBody,
    RetryBody,
    RollbackBody,
    ScaleBody,
)
from api.deps import Given, Start, Watch
from api.errors import refusals
from api.existing import check_component, check_secrets
from api.starter import Accepted
from api.views import current_revision
from iarnet.errors import (
    ChangeInProgress,
    Conflict,
    InvalidInput,
    Missing,
    MissingSetting,
    NoRoom,
    NotFound,
    NothingToRun,
)
from iarnet.models.app import App, Revision
from iarnet.models.base import AppName
from iarnet.models.change import ChangeRequest, RestartRequest
from iarnet.models.plan import Plan
from iarnet.store.base import Store

router = APIRouter(prefix="/apps/{app}", tags=["changes"])

CHANGE = refusals(NotFound, ChangeInProgress, Missing)


@router.post(
    "/plan",
    operation_id="planApp",
    summary="What a deployment would change, without changing anything",
    responses=refusals(NotFound, NothingToRun, MissingSetting, NoRoom, Missing),
)
async def plan(app: AppName, given: Given, start: Start, watch: Watch, body: ChangeBody = ChangeBody()) -> Plan:
    await given.store.apps.get(app)
    await check_secrets(given.secrets, body.secrets.values())
    run = await start.plan(ChangeRequest(app=app, **body.model_dump()))
    found: Plan = await watch.result(run.workflow_id, run.run_id, Plan)
    return found


@router.post("/deploy", operation_id="deployApp", summary="Deploy", status_code=202, responses=CHANGE)
async def deploy(
    app: AppName, given: Given, start: Start, response: Response, body: ChangeBody = ChangeBody()
) -> Accepted:
    await given.store.apps.get(app)
    await check_secrets(given.secrets, body.secrets.values())
    request = ChangeRequest(app=app, cause="deploy", **body.model_dump())
    return _at(response, await start.change("DeployApp", request))


@router.post("/stop", operation_id="stopApp", summary="Stop, keeping all data", status_code=202, responses=CHANGE)
async def stop(app: AppName, given: Given, start: Start, response: Response) -> Accepted:
    await given.store.apps.get(app)
    return _at(response, await start.change("StopApp", ChangeRequest(app=app, cause="stop", fetch=False)))


@router.post(
    "/start",
    operation_id="startApp",
    summary="Run the last revision again",
    status_code=202,
    responses=refusals(NotFound, ChangeInProgress, Conflict, Missing),
)
async def start_again(app: AppName, given: Given, start: Start, response: Response) -> Accepted:
    await _deployed(given.store, app)
    return _at(response, await start.change("DeployApp", ChangeRequest(app=app, cause="start", fetch=False)))


@router.post(
    "/retry",
    operation_id="retryApp",
    summary="Try the last change again: what is healthy stays, the rest is done",
    status_code=202,
    responses=refusals(NotFound, ChangeInProgress, Conflict, Missing),
)
async def retry(
    app: AppName, given: Given, start: Start, response: Response, body: RetryBody = RetryBody()
) -> Accepted:
    await given.store.apps.get(app)
    revision = await _retried(given.store, app)
    request = ChangeRequest(app=app, cause="retry", revision=revision, **body.model_dump())
    return _at(response, await start.change("DeployApp", request))


@router.post(
    "/fork",
    operation_id="forkApp",
    summary="Try again with one input changed, keeping the healthy rest",
    status_code=202,
    responses=CHANGE,
)
async def fork(app: AppName, given: Given, start: Start, response: Response, body: ForkBody) -> Accepted:
    await given.store.apps.get(app)
    if not body.settings and not body.secrets:
        raise InvalidInput("nothing is changed", where="settings", hint="give at least one setting or secret")
    await check_secrets(given.secrets, body.secrets.values())
    request = ChangeRequest(app=app, cause="fork", fetch=False, **body.model_dump())
    return _at(response, await start.change("DeployApp", request))


@router.post(
    "/rollback",
    operation_id="rollbackApp",
    summary="Go back to an earlier revision",
    status_code=202,
    responses=refusals(NotFound, ChangeInProgress, Conflict, Missing),
)
async def rollback(
    app: AppName, given: Given, start: Start, response: Response, body: RollbackBody = RollbackBody()
) -> Accepted:
    state = await given.store.apps.get(app)
    number = body.revision or await _previous(given.store, state)
    if await given.store.facts.revision(app, number) is None:
        hint = f"GET /api/v1/apps/{app}/revisions lists them"
        raise NotFound(f"{app!r} has no revision {number}", where=f"{app} r{number}", hint=hint)
    request = ChangeRequest(app=app, cause="rollback", fetch=False, revision=number, on_failure=body.on_failure)
    return _at(response, await start.change("DeployApp", request))


@router.post(
    "/scale",
    operation_id="scaleApp",
    summary="Set how many replicas components have",
    status_code=202,
    responses=refusals(NotFound, ChangeInProgress, Conflict, Missing),
)
async def scale(app: AppName, given: Given, start: Start, response: Response, body: ScaleBody) -> Accepted:
    revision = await _deployed(given.store, app)
    for component in body.replicas:
        check_component(revision, component)
    settings = {f"{component}.replicas": str(n) for component, n in body.replicas.items()}
    request = ChangeRequest(app=app, cause="scale", fetch=False, settings=settings)
    return _at(response, await start.change("DeployApp", request))


@router.post(
    "/restart",
    operation_id="restartApp",
    summary="Restart instances in place",
    status_code=202,
    responses=refusals(NotFound, Conflict, Missing),
)
async def restart(
    app: AppName, given: Given, start: Start, response: Response, body: RestartBody = RestartBody()
) -> Accepted:
    revision = await _deployed(given.store, app)
    if body.component:
        check_component(revision, body.component)
    return _at(response, await start.restart(app, RestartRequest(component=body.component or "")))


@router.post(
    "/cancel",
    operation_id="cancelChange",
    summary="Cancel the change that runs; what it did is undone",
    status_code=202,
    responses=refusals(NotFound, Conflict, Missing),
)
async def cancel(app: AppName, given: Given, start: Start, response: Response) -> Accepted:
    await given.store.apps.get(app)
    return _at(response, await start.cancel(app))


async def _retried(store: Store, app: str) -> int | None:
    """The old revision that the last change wanted to go to; None when it wanted the newest state."""
    last = next(iter(await store.facts.deployments(app, limit=1)), None)
    if last is None:
        raise _nothing_yet(app)
    if last.cause in ("stop", "delete"):
        hint = f"{last.cause} it again, or start it: POST /api/v1/apps/{app}/start"
        raise Conflict(f"the last change of {app!r} was to {last.cause} it", where=app, hint=hint)
    newest = next(iter(await store.facts.revisions(app, limit=1)), None)
    return last.revision if newest and 0 < last.revision < newest.number else None


async def _deployed(store: Store, app: str) -> Revision:
    revision = await current_revision(store, await store.apps.get(app))
    if revision is None:
        raise _nothing_yet(app)
    return revision


async def _previous(store: Store, app: App) -> int:
    """The last revision before the current that a change brought to life."""
    good = [d for d in await store.facts.deployments(app.name) if d.status == "succeeded" and d.revision]
    current = app.revision or (good[0].revision if good else 0)
    earlier = next((d.revision for d in good if d.revision < current), None)
    if earlier is None:
        raise Conflict(
            f"{app.name!r} has no earlier revision that was deployed with success",
            where=app.name,
            hint=f"name one: GET /api/v1/apps/{app.name}/revisions lists them",
        )
    return earlier


def _nothing_yet(app: str) -> Conflict:
    hint = f"deploy it first: POST /api/v1/apps/{app}/deploy"
    return Conflict(f"{app!r} was never deployed", where=app, hint=hint)


def _at(response: Response, run: Accepted) -> Accepted:
    response.headers["Location"] = run.follow
    return run
