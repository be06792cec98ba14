"""How traffic finds instances: services that stay, endpoints that come and go, routes between them."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from iarnet.models.base import AppName, ComponentName, Value

Protocol = Literal["http", "grpc", "websocket", "tcp", "udp"]
HostName = Annotated[str, StringConstraints(pattern=r"^(\*\.)?[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")]


class AppNetwork(Value):
    """The network of an app on one provider: `subnet` in CIDR form, `address` the host's own in it."""

    address: str
    subnet: str


class ServedPort(Value):
    """A port of a component that others reach through the gateway; `host_port` for users of the provider's host."""

    component: ComponentName
    port: int = Field(ge=1, le=65535)
    protocol: Protocol = "http"
    host_port: int | None = Field(default=None, ge=1, le=65535)

    @property
    def transport(self) -> Literal["tcp", "udp"]:
        """What it is on the wire."""
        return "udp" if self.protocol == "udp" else "tcp"


class Service(ServedPort):
    """A served port where it is: `address` stays while instances come and go, and is for the app's `subnet` alone."""

    app: AppName
    provider_id: str
    address: str
    subnet: str

    @property
    def name(self) -> str:
        return f"{self.app}/{self.component}/{self.port}/{self.transport}"


EndpointState = Literal["active", "suspended", "draining", "held"]


class Endpoint(Value):
    """An instance behind the services of its component. Only `active` ones get new requests.

    `suspended`: it died or hangs, and is being mended; `draining`: requests end, none begin; `held`: it has stopped
    to make room for its successor, and new requests wait for that.
    """

    app: AppName
    component: ComponentName
    instance: str
    provider_id: str
    revision: int = Field(ge=1)
    address: str
    weight: int = Field(default=100, ge=1, le=10_000)
    state: EndpointState = "active"


class Backend(Value):
    """Where a route leads: a component of the same app, or only its instances of one `revision` (a canary).

    `port` 0 is the component's first; `weight` is the share among the route's backends.
    """

    component: ComponentName
    port: int = Field(default=0, ge=0, le=65535)
    revision: int | None = Field(default=None, ge=1)
    weight: int = Field(default=100, ge=0, le=10_000)


class Route(Value):
    """Requests to `component` that match everything given here go to `to` instead. HTTP and gRPC only.

    `path` is a prefix, headers and cookies match exactly, `port` 0 is the component's first. Of several routes that
    match, the one with more conditions wins, then the longer path. `timeout_s` None: no limit.
    """

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    app: AppName
    component: ComponentName
    port: int = Field(default=0, ge=0, le=65535)
    hosts: tuple[HostName, ...] = ()
    path: str = Field(default="/", pattern=r"^/[^\s?#]*$", max_length=2000)
    headers: dict[str, str] = {}
    cookies: dict[str, str] = {}
    to: tuple[Backend, ...] = Field(min_length=1, max_length=20)
    mirror: ComponentName | None = None
    timeout_s: float | None = Field(default=None, gt=0)
    retries: int = Field(default=2, ge=0, le=10)


class EndpointLoad(Value):
    """What an endpoint is doing now, as the gateway counts it."""

    instance: str
    connections: int = 0
    requests: int = 0
    requests_total: int = 0
    errors_total: int = 0
    healthy: bool = True
