"""Endpoints and routes as a person looks at them: with where they answer, and what they are doing."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from pydantic import Field

from iarnet.models.base import AppName, ComponentName, Value
from iarnet.models.traffic import Backend, Endpoint, EndpointLoad, EndpointState, Protocol, Route, Service

EXTERNAL = "external-"
BY_REQUEST: tuple[Protocol, ...] = ("http", "grpc", "websocket")
"""Requests can be told apart and led differently; of the others only connections can."""


class EndpointPort(Value):
    port: int
    protocol: Protocol


class EndpointView(Value):
    """`external` ones no deployment touches. `load` and `health` are what the gateway says, where it answers."""

    instance: str = Field(examples=["iarnet-shop-api-r2-0"])
    app: AppName
    component: ComponentName
    provider_id: str
    revision: int
    address: str = Field(examples=["10.210.8.3"])
    ports: tuple[EndpointPort, ...]
    weight: int
    state: EndpointState
    health: Literal["healthy", "unhealthy", "unknown"]
    external: bool
    load: EndpointLoad | None = None


class RouteView(Value):
    """`derived` ones come of a deployment: every port that the gateway serves. The others a user has added.

    `inside` is where neighbours send what it takes, `listens` where the gateway takes that, `published` where users
    send it; all are empty while the component is not served.
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


def endpoint_views(
    endpoints: Iterable[Endpoint], services: Sequence[Service], loads: Mapping[str, EndpointLoad]
) -> list[EndpointView]:
    return [_endpoint(e, services, loads.get(e.instance)) for e in endpoints]


def route_views(routes: Iterable[Route], services: Sequence[Service], hosts: Mapping[str, str]) -> list[RouteView]:
    """Per component, the derived ones first. `hosts` maps providers to the names of their hosts."""
    found = [_derived(s, hosts) for s in services] + [route_view(r, services, hosts) for r in routes]
    return sorted(found, key=lambda r: (r.app, r.component, not r.derived, r.id, r.provider_id))


def route_view(route: Route, services: Iterable[Service], hosts: Mapping[str, str]) -> RouteView:
    service = next((s for s in services if _takes(s, route)), None)
    where = _places(service, hosts) if service else {"protocol": None}
    return RouteView(derived=False, **route.model_dump(), **where)


def _endpoint(endpoint: Endpoint, services: Iterable[Service], load: EndpointLoad | None) -> EndpointView:
    key = (endpoint.app, endpoint.component, endpoint.provider_id)
    own = [s for s in services if (s.app, s.component, s.provider_id) == key]
    return EndpointView(
        **endpoint.model_dump(),
        ports=tuple(EndpointPort(port=s.port, protocol=s.protocol) for s in own),
        health="unknown" if load is None else "healthy" if load.healthy else "unhealthy",
        external=endpoint.instance.startswith(EXTERNAL),
        load=load,
    )


def _derived(service: Service, hosts: Mapping[str, str]) -> RouteView:
    return RouteView(
        **service.model_dump(include={"app", "component", "port"}),
        id=service.name,
        derived=True,
        to=(Backend(component=service.component, port=service.port),),
        **_places(service, hosts),
    )


def _takes(service: Service, route: Route) -> bool:
    key = (service.app, service.component, service.port)
    return key == (route.app, route.component, route.port) and service.protocol in BY_REQUEST


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
