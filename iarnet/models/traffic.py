"""How traffic finds instances: services that stay, endpoints that come and go, routes between them."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from iarnet.models.base import NUMBER, AppName, ComponentName, Value
from iarnet.models.component import Ejection, HealthCheck, Limits

Protocol = Literal["http", "grpc", "websocket", "tcp", "udp"]
HTTP_PROTOCOLS: tuple[Protocol, ...] = ("http", "grpc", "websocket")
"""Requests can be told apart and led differently; of the others only connections can."""

HostName = Annotated[str, StringConstraints(pattern=r"^(\*\.)?[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")]


class AppNetwork(Value):
    """Where an app's instances on one provider are, `subnet` in CIDR form, and an `address` of the host for them."""

    address: str
    subnet: str


class ServedPort(Value):
    """A port of a component that others reach through the gateway; `host_port` for users of the provider's host.

    `slot` says at which of the app's addresses: all ports of a component are at the same. `health` is how the gateway
    itself asks instances there whether they are well, None where it does not; `limits`, `ejection` and further
    `names` are the component's.
    """

    component: ComponentName
    port: int = Field(ge=1, le=65535)
    protocol: Protocol = "http"
    host_port: int | None = Field(default=None, ge=1, le=65535)
    slot: int = Field(default=0, ge=0)
    health: HealthCheck | None = None
    limits: Limits | None = None
    ejection: Ejection | None = None
    names: tuple[str, ...] = ()

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
    to make room for its successor, and new requests wait for that. `revision` is None for a server outside.
    """

    app: AppName
    component: ComponentName
    instance: str
    provider_id: str
    revision: int | None = Field(default=None, ge=1)
    address: str
    weight: int = Field(default=100, ge=1, le=10_000)
    state: EndpointState = "active"


class Backend(Value):
    """Where a route leads: a component of the same app, or only its instances of one `revision` (a canary).

    `port` 0 is the component's first; `weight` is the share among the route's backends.
    """

    component: ComponentName
    port: Annotated[int, Field(ge=0, le=65535), NUMBER] = 0
    revision: Annotated[int, Field(ge=1), NUMBER] | None = None
    weight: Annotated[int, Field(ge=0, le=10_000), NUMBER] = 100


class Route(Value):
    """Requests to `component` that match everything given here go to `to` instead. HTTP and gRPC only.

    `path` is a prefix, headers and cookies match exactly, `port` 0 is the component's first. Of several routes that
    match, the one with more conditions wins, then the longer path. `timeout_s` None: no limit. A request that has
    reached nobody is sent again `retries` times; None: until a successor is there, for about 30 s.
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
    retries: int | None = Field(default=None, ge=0, le=10)


class EndpointLoad(Value):
    """What an endpoint is doing now, as the gateway counts it. `ejected`: it has failed too often, and gets nothing
    for a while."""

    instance: str
    connections: int = 0
    requests: int = 0
    requests_total: int = 0
    errors_total: int = 0
    healthy: bool = True
    ejected: bool = False


class Breaker(Value):
    """Which limits of a service are reached now (`full`), and how many requests and connections have been turned away
    because of them; that begins at 0 with the next Envoy."""

    service: str
    full: tuple[Literal["connections", "pending", "requests", "retries"], ...] = ()
    refused_total: int = Field(default=0, ge=0)


class RecentTraffic(Value):
    """What has gone through in the last `over_s` seconds, and how long the answers took: None when there was none.

    A TCP connection counts as a request, and takes no time. `error_share` is between 0 and 1.
    """

    over_s: float = Field(gt=0)
    requests_per_s: float = Field(ge=0)
    error_share: float | None = None
    received_bytes_per_s: float = 0
    sent_bytes_per_s: float = 0
    mean_s: float | None = None
    p50_s: float | None = None
    p95_s: float | None = None
    p99_s: float | None = None


class ServiceTraffic(Value):
    """What has gone through the gateway to a component, or by one `route` that was added to it; "" is all together.

    Counts rise while Envoy runs, and begin at 0 with the next one. `requests`: those that were answered, by `2xx` and
    so on, and as `tcp` connections, of which no more is known. Errors are answers of 500 and more, the gateway's own
    among them, and connections for which nobody was there. `received_bytes` is what the component was sent;
    `connections` lead to its instances. Neither is known of a route. `durations` maps seconds to how many of the
    `durations_total` answers took less, `durations_s` is the time that all took together. `recent` is None while too
    little has been seen.
    """

    app: AppName
    component: ComponentName
    route: str = ""
    requests: dict[str, int] = {}
    errors_total: int = 0
    received_bytes: int | None = None
    sent_bytes: int | None = None
    connections: int | None = None
    connections_total: int | None = None
    durations: dict[float, int] = {}
    durations_total: int = 0
    durations_s: float = 0
    recent: RecentTraffic | None = None

    @property
    def requests_total(self) -> int:
        return sum(self.requests.values())
