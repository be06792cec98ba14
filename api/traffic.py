"""Endpoints and routes as a person looks at them: with where they answer, and what they are doing."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from pydantic import Field

from iarnet.models.base import AppName, ComponentName, Value
from iarnet.models.component import Ejection, Limits
from iarnet.models.traffic import Backend, Breaker, Endpoint, EndpointLoad, EndpointState, Protocol, Route, Service
from iarnet.planning.leading import Lead, Leading

EXTERNAL = "external-"


class EndpointPort(Value):
    port: int
    protocol: Protocol


class EndpointView(Value):
    """`external` ones no deployment touches. `load` and `health` are what the gateway says, where it answers.

    `ejected`: it has failed too often, and gets nothing for a while.
    """

    instance: str = Field(examples=["iarnet-shop-api-r2-0"])
    app: AppName
    component: ComponentName
    provider_id: str
    revision: int | None
    address: str = Field(examples=["10.210.8.3"])
    ports: tuple[EndpointPort, ...]
    weight: int
    state: EndpointState
    health: Literal["healthy", "unhealthy", "ejected", "unknown"]
    external: bool
    load: EndpointLoad | None = None


class RouteView(Value):
    """`derived` ones come of a deployment: every port that the gateway serves. The others a user has added.

    `inside` is where neighbours send what it takes, `listens` where the gateway takes that, `published` where users
    send it; all are empty while the component is not served. `notes` say what of it is left out now, and why.
    Derived ones have the `limits` and the `ejection` of their component, and say which limits are reached now
    (`full`) and how much has been turned away because of them.
    """

    id: str = Field(examples=["orders-canary", "shop/api/8080/tcp"])
    app: AppName
    component: ComponentName
    port: int
    protocol: Protocol | None
    derived: bool
    hosts: tuple[str, ...] = ()
    path: str = ""
    headers: dict[str, str] = {}
    cookies: dict[str, str] = {}
    to: tuple[Backend, ...]
    mirror: ComponentName | None = None
    timeout_s: float | None = None
    retries: int | None = None
    provider_id: str = ""
    inside: str = Field(default="", examples=["api:8080"])
    listens: str = Field(default="", examples=["10.210.8.1:8080"])
    published: str = Field(default="", examples=["localhost:20000"])
    limits: Limits | None = None
    ejection: Ejection | None = None
    full: tuple[str, ...] = Field(default=(), examples=[["requests"]])
    refused_total: int | None = None
    notes: tuple[str, ...] = ()


def endpoint_views(
    endpoints: Iterable[Endpoint], services: Sequence[Service], loads: Mapping[str, EndpointLoad]
) -> list[EndpointView]:
    return [_endpoint(e, services, loads.get(e.instance)) for e in endpoints]


def route_views(
    routes: Iterable[Route],
    services: Sequence[Service],
    endpoints: Iterable[Endpoint],
    hosts: Mapping[str, str],
    breakers: Mapping[str, Breaker],
) -> list[RouteView]:
    """Per component, the derived ones first. `hosts` maps providers to the names of their hosts, `breakers` are by
    the names of the services."""
    leading = _leading(services, endpoints)
    added = [_route(_lead(route, leading[route.app]), hosts) for route in routes]
    found = [_derived(s, hosts, breakers.get(s.name)) for s in services] + added
    return sorted(found, key=lambda r: (r.app, r.component, not r.derived, r.id, r.provider_id))


def _leading(services: Iterable[Service], endpoints: Iterable[Endpoint]) -> dict[str, list[Leading[Service]]]:
    """By app, one for each provider."""
    there: dict[tuple[str, str], list[Service]] = defaultdict(list)
    behind: dict[tuple[str, str], list[Endpoint]] = defaultdict(list)
    for service in services:
        there[service.app, service.provider_id].append(service)
    for endpoint in endpoints:
        behind[endpoint.app, endpoint.provider_id].append(endpoint)
    found: dict[str, list[Leading[Service]]] = defaultdict(list)
    for (app, provider_id), served in there.items():
        found[app].append(Leading(served, behind[app, provider_id]))
    return found


def _lead(route: Route, leading: Iterable[Leading[Service]]) -> Lead[Service]:
    """Where its component is. Of an app that is stopped there is nothing to say."""
    leads = [each.lead(route) for each in leading]
    return next((lead for lead in leads if lead.at), leads[0] if leads else Lead(route, None))


def _route(lead: Lead[Service], hosts: Mapping[str, str]) -> RouteView:
    where = _places(lead.at, hosts) if lead.at else {"protocol": None}
    return RouteView(derived=False, notes=lead.notes, **lead.route.model_dump(), **where)


def _endpoint(endpoint: Endpoint, services: Iterable[Service], load: EndpointLoad | None) -> EndpointView:
    key = (endpoint.app, endpoint.component, endpoint.provider_id)
    own = [s for s in services if (s.app, s.component, s.provider_id) == key]
    return EndpointView(
        **endpoint.model_dump(),
        ports=tuple(EndpointPort(port=s.port, protocol=s.protocol) for s in own),
        health=_health(load),
        external=endpoint.instance.startswith(EXTERNAL),
        load=load,
    )


def _health(load: EndpointLoad | None) -> Literal["healthy", "unhealthy", "ejected", "unknown"]:
    if load is None:
        return "unknown"
    return "healthy" if load.healthy else "ejected" if load.ejected else "unhealthy"


def _derived(service: Service, hosts: Mapping[str, str], breaker: Breaker | None) -> RouteView:
    return RouteView(
        **service.model_dump(include={"app", "component", "port", "limits", "ejection"}),
        **(breaker.model_dump(exclude={"service"}) if breaker else {}),
        id=service.name,
        derived=True,
        to=(Backend(component=service.component, port=service.port),),
        **_places(service, hosts),
    )


def _places(service: Service, hosts: Mapping[str, str]) -> dict[str, object]:
    host = hosts.get(service.provider_id) or "localhost"
    return {
        "protocol": service.protocol,
        "provider_id": service.provider_id,
        "inside": f"{service.component}:{service.port}",
        "listens": _joined(service.address, service.port),
        "published": _joined(host, service.host_port) if service.host_port else "",
    }


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
