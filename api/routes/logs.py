"""What instances print, what builds print, and why a component is where it is."""

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from api.deps import Given
from api.errors import refusals
from api.logs import Log, gather, tailing
from api.streams import stream, streaming
from api.views import known
from iarnet.errors import NotFound, ProviderUnavailable
from iarnet.models.base import AppName, ComponentName, Value
from iarnet.models.instance import Instance, LogQuery
from iarnet.models.placement import Assignment
from iarnet.store.base import Store

router = APIRouter(prefix="/apps/{app}", tags=["logs"])


class BuildLog(Value):
    component: str
    lines: tuple[str, ...]


class Why(Value):
    """The newest decision about the component, and the deployment that it belongs to."""

    deployment_id: str
    assignment: Assignment


@router.get(
    "/logs",
    operation_id="getLogs",
    summary="The last lines of an application; with `follow`, also those to come",
    response_model=Log,
    responses=refusals(NotFound, ProviderUnavailable) | streaming("line", "problem", also=Log),
)
async def logs(
    app: AppName,
    given: Given,
    component: ComponentName | None = None,
    tail: int = Query(200, ge=0, le=10_000),
    follow: bool = False,
) -> Log | StreamingResponse:
    instances = await instances_of(given.store, app, component)
    query = LogQuery(tail=tail, follow=follow)
    if follow:
        return stream(tailing(given.providers, given.secrets, instances, query))
    return await gather(given.providers, given.secrets, instances, query)


@router.get(
    "/components/{component}/build-log",
    operation_id="getBuildLog",
    summary="The output of a component's last build",
    responses=refusals(NotFound),
)
async def build_log(app: AppName, component: ComponentName, given: Given) -> BuildLog:
    await given.store.apps.get(app)
    lines = await given.store.facts.build_log(app, component)
    if not lines:
        hint = "a component with an image of its own is not built"
        raise NotFound(f"{component!r} has no build log", where=f"{app}/{component}", hint=hint)
    return BuildLog(component=component, lines=tuple(given.secrets.redact(line) for line in lines))


@router.get(
    "/components/{component}/why",
    operation_id="getWhy",
    summary="Why a component runs where it runs: every score, every rejection",
    responses=refusals(NotFound),
)
async def why(app: AppName, component: ComponentName, given: Given) -> Why:
    await given.store.apps.get(app)
    for deployment in await given.store.facts.deployments(app):
        plan = await given.store.facts.plan(deployment.id)
        for assignment in plan.placement.assignments if plan else ():
            if assignment.component == component:
                return Why(deployment_id=deployment.id, assignment=assignment)
    hint = "it is placed when it is deployed"
    raise NotFound(f"{component!r} of {app!r} was never placed", where=f"{app}/{component}", hint=hint)


async def instances_of(store: Store, app: str, component: str | None) -> list[Instance]:
    """Raises `NotFound` for an app or a component that does not exist."""
    all_known = await known(store, await store.apps.get(app), {})
    if component is None:
        return all_known.instances
    names = {i.component for i in all_known.instances} | {
        c.name for part in (all_known.revision, all_known.analysis) if part for c in part.components
    }
    if component not in names:
        hint = f"it has {', '.join(sorted(names))}" if names else "it has no components yet"
        raise NotFound(f"{app!r} has no component {component!r}", where=component, hint=hint)
    return [i for i in all_known.instances if i.component == component]
