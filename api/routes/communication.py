"""Who takes requests, and which requests go where: under `/api/v1`, and documented at the root."""

import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.routing import APIRoute

from api.bodies import EndpointBody, EndpointCreation, PlainText, RouteBody, RouteCreation
from api.deps import Given, Turn
from api.errors import refusals
from api.routable import check_known, check_outside, checked, components_of
from api.services import Services
from api.traffic import EXTERNAL, EndpointView, RouteView, endpoint_views, route_views
from api.views import hosts
from iarnet.analysis.names import component_name, unique
from iarnet.errors import (
    AlreadyExists,
    Conflict,
    GatewayError,
    GatewayRefused,
    GatewayUnavailable,
    IarnetError,
    InvalidComponent,
    InvalidInput,
    Missing,
    NotFound,
)
from iarnet.gateway.base import Gateway
from iarnet.models.base import AppName, Value
from iarnet.models.traffic import Breaker, Endpoint, EndpointLoad, Route
from iarnet.store.base import Store, Traffic

router = APIRouter(prefix="/communication", tags=["communication"])

WRITE = (NotFound, Conflict, GatewayRefused, GatewayUnavailable, Missing)
Write = Callable[[], Awaitable[None]]
_WITHIN_S = 3.0
_BACK_WITHIN_S = 0.5
OfApp = Annotated[AppName | None, Query(description="only those of this application")]


class Endpoints(Value):
    """`problem` says why nothing is known of their load."""

    endpoints: list[EndpointView]
    problem: str = ""


class Routes(Value):
    routes: list[RouteView]


@router.get(
    "/endpoints",
    operation_id="listEndpoints",
    summary="Who takes requests, and what each is doing",
    responses=refusals(NotFound),
)
async def list_endpoints(given: Given, app: OfApp = None) -> Endpoints:
    await check_app(given.store, app)
    traffic = given.store.traffic
    loads, problem = await _loads(given.gateway)
    found = endpoint_views(await traffic.endpoints(app), await traffic.services(app), loads)
    return Endpoints(endpoints=found, problem=problem)


@router.post(
    "/endpoints",
    operation_id="addEndpoint",
    summary="Have a server outside take requests to a component, beside its instances",
    status_code=201,
    responses=refusals(*WRITE, AlreadyExists, InvalidComponent),
)
async def add_endpoint(body: EndpointCreation, given: Given, turn: Turn) -> EndpointView:
    """It answers on the component's ports, and takes part until it is removed or the component is stopped."""
    traffic = given.store.traffic
    check_known(await components_of(given.store, body.app), body.component, "component")
    services = await traffic.services()
    check_outside(body.address, services)
    made = await _external(given.store, body)
    if made[0].instance in {e.instance for e in await traffic.endpoints(body.app)}:
        hint = f"change its weight: PUT /api/v1/communication/endpoints/{made[0].instance}"
        raise AlreadyExists(f"{body.address} takes requests already", where=made[0].instance, hint=hint)
    undo = partial(traffic.forget_endpoint, made[0].instance)
    await take_effect(given, body.app, partial(_put_all, traffic, made), undo)
    return endpoint_views(made, services, {})[0]


@router.put(
    "/endpoints/{instance}",
    operation_id="changeEndpoint",
    summary="Change an endpoint's share of the requests",
    responses=refusals(*WRITE),
)
async def change_endpoint(instance: PlainText, body: EndpointBody, given: Given, turn: Turn) -> EndpointView:
    traffic = given.store.traffic
    before = (await _endpoints(traffic, instance))[0]
    write, undo = (partial(traffic.set_endpoint_weight, instance, w) for w in (body.weight, before.weight))
    await take_effect(given, before.app, write, undo)
    return endpoint_views(await _endpoints(traffic, instance), await traffic.services(before.app), {})[0]


@router.delete(
    "/endpoints/{instance}",
    operation_id="removeEndpoint",
    summary="Send a server outside nothing new, and forget it when what it works on has ended",
    status_code=204,
    responses=refusals(*WRITE),
)
async def remove_endpoint(
    instance: PlainText,
    given: Given,
    within_s: Annotated[float, Query(ge=0, le=30, description="how long that may take")] = 10,
) -> None:
    traffic = given.store.traffic
    found = (await _endpoints(traffic, instance))[0]
    if not instance.startswith(EXTERNAL):
        hint = f"scale, stop or deploy {found.app!r} instead"
        raise Conflict(f"{instance!r} belongs to a deployment", where=instance, hint=hint)
    write, undo = (partial(traffic.set_endpoint_state, instance, state) for state in ("draining", found.state))
    await take_effect(given, found.app, write, undo)
    await gateway_of(given).drain(instance, within_s)


@router.get("/routes", operation_id="listRoutes", summary="Which requests go where", responses=refusals(NotFound))
async def list_routes(given: Given, app: OfApp = None) -> Routes:
    """Those that come of deployments (`derived`), and those that were added."""
    await check_app(given.store, app)
    traffic = given.store.traffic
    where = hosts(await given.store.providers.states())
    services, endpoints = await traffic.services(app), await traffic.endpoints(app)
    full = await _breakers(given.gateway, app or "")
    return Routes(routes=route_views(await traffic.routes(app), services, endpoints, where, full))


@router.post(
    "/routes",
    operation_id="addRoute",
    summary="Lead some requests to a component elsewhere",
    status_code=201,
    responses=refusals(*WRITE, AlreadyExists, InvalidComponent),
)
async def add_route(body: RouteCreation, given: Given, turn: Turn) -> RouteView:
    traffic = given.store.traffic
    taken = {r.id for r in await traffic.routes()}
    if body.id in taken:
        hint = f"choose another id, or change that one: PUT /api/v1/communication/routes/{body.id}"
        raise AlreadyExists(f"there is a route {body.id!r} already", where=body.id, hint=hint)
    id = body.id or unique(component_name(f"{body.app} {body.component} {body.path}"), taken)
    route = await checked(given.store, Route(id=id, **body.model_dump(exclude={"id"})))
    await take_effect(given, body.app, partial(traffic.put_route, route), partial(traffic.delete_route, id))
    return await _seen(given.store, route)


@router.put(
    "/routes/{route_id:path}",
    operation_id="changeRoute",
    summary="Put another route in the place of one",
    responses=refusals(*WRITE, InvalidComponent),
)
async def change_route(route_id: PlainText, body: RouteBody, given: Given, turn: Turn) -> RouteView:
    traffic = given.store.traffic
    before = await _added(traffic, route_id)
    if before.app != body.app:
        hint = "add one there, and remove this one"
        raise InvalidInput(f"route {route_id!r} belongs to {before.app!r}", where="app", hint=hint)
    after = await checked(given.store, Route(id=route_id, **body.model_dump()))
    await take_effect(given, body.app, partial(traffic.put_route, after), partial(traffic.put_route, before))
    return await _seen(given.store, after)


@router.delete(
    "/routes/{route_id:path}",
    operation_id="removeRoute",
    summary="Remove a route: its requests go to their component again",
    status_code=204,
    responses=refusals(*WRITE),
)
async def remove_route(route_id: PlainText, given: Given, turn: Turn) -> None:
    traffic = given.store.traffic
    before = await _added(traffic, route_id)
    await take_effect(given, before.app, partial(traffic.delete_route, route_id), partial(traffic.put_route, before))


async def take_effect(given: Services, app: str, write: Write, undo: Write) -> None:
    """All or nothing: what the gateway does not take over is taken back, and its refusal is the answer.

    Somebody waits for that, who can try again; a deployment has more patience. What was before comes back by itself.
    """
    gateway = gateway_of(given)
    await write()
    try:
        await gateway.refresh(app, _WITHIN_S)
    except IarnetError:
        await undo()
        with suppress(IarnetError):
            await gateway.refresh(app, _BACK_WITHIN_S)
        raise


def gateway_of(given: Services) -> Gateway:
    if given.gateway is None:
        hint = "set gateway.enabled to true, and start the node again"
        raise Missing("no gateway runs on this node", where="gateway", hint=hint)
    return given.gateway


async def _loads(gateway: Gateway | None) -> tuple[dict[str, EndpointLoad], str]:
    if gateway is None:
        return {}, "no gateway runs on this node"
    try:
        return {load.instance: load for load in await gateway.loads()}, ""
    except GatewayError as error:
        return {}, error.message


async def _breakers(gateway: Gateway | None, app: str) -> dict[str, Breaker]:
    """Nothing while the gateway does not say: the rest is known without it."""
    try:
        return {breaker.service: breaker for breaker in await gateway.breakers(app)} if gateway else {}
    except GatewayError:
        return {}


async def check_app(store: Store, app: str | None) -> None:
    if app is not None:
        await store.apps.get(app)


async def _external(store: Store, body: EndpointCreation) -> list[Endpoint]:
    """One for each provider that serves the component: it is the same server for all their gateways."""
    services = await store.traffic.services(body.app)
    providers = sorted({s.provider_id for s in services if s.component == body.component})
    if not providers:
        hint = "deploy it; a component that is reached directly has no share to give away"
        raise Conflict(f"{body.component!r} is not served by the gateway", where="component", hint=hint)
    digits = re.sub(r"[^0-9a-f]+", "-", body.address.exploded)
    return [
        Endpoint(
            **body.model_dump(include={"app", "component", "weight"}),
            instance=f"{EXTERNAL}{body.app}-{body.component}-{digits}",
            provider_id=provider_id,
            address=str(body.address),
        )
        for provider_id in providers
    ]


async def _put_all(traffic: Traffic, endpoints: Sequence[Endpoint]) -> None:
    for endpoint in endpoints:
        await traffic.put_endpoint(endpoint)


async def _endpoints(traffic: Traffic, instance: str) -> list[Endpoint]:
    found = [e for e in await traffic.endpoints() if e.instance == instance]
    if not found:
        hint = "GET /api/v1/communication/endpoints lists them"
        raise NotFound(f"there is no endpoint {instance!r}", where=instance, hint=hint)
    return found


async def _added(traffic: Traffic, route_id: str) -> Route:
    found = next((r for r in await traffic.routes() if r.id == route_id), None)
    if found:
        return found
    if route_id in {s.name for s in await traffic.services()}:
        hint = "add a route for the requests that are to go elsewhere"
        raise Conflict(f"{route_id!r} comes of a deployment", where=route_id, hint=hint)
    hint = "GET /api/v1/communication/routes lists them"
    raise NotFound(f"there is no route {route_id!r}", where=route_id, hint=hint)


async def _seen(store: Store, route: Route) -> RouteView:
    where = hosts(await store.providers.states())
    traffic = store.traffic
    services, endpoints = await traffic.services(route.app), await traffic.endpoints(route.app)
    return next(view for view in route_views([route], services, endpoints, where, {}) if view.id == route.id)


def documented_of(router: APIRouter) -> APIRouter:
    """The same at the root, under names of its own."""
    made = APIRouter(tags=["documented"])
    for route in router.routes:
        assert isinstance(route, APIRoute)
        assert route.operation_id
        made.add_api_route(
            route.path,
            route.endpoint,
            methods=sorted(route.methods or ()),
            operation_id=f"documented{route.operation_id[0].upper()}{route.operation_id[1:]}",
            summary=route.summary,
            status_code=route.status_code,
            responses=route.responses,
        )
    return made


documented = documented_of(router)
