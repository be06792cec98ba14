"""A unit of deployment, as analysis finds it and a revision fixes it."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from iarnet.models.base import ComponentName, Value
from iarnet.models.container import Container, File, HostName
from iarnet.models.resources import MIB, Resources

ComponentKind = Literal["web", "api", "worker", "database", "cache", "queue", "job", "static"]
EnvName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]*$", max_length=256)]


HARMLESS_CAPABILITIES = frozenset(
    {"CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID"}
)
"""What a repository may give its components by itself: images need these to hand their files to an unprivileged user.
Anything else only a user's setting grants, as it can lead out of the container."""


class Port(Value):
    """A port that the component listens on; `publish` asks for an address outside the app's network.

    `publish="auto"` takes a free host port and keeps it; `"prefer"` takes `host_port` when it is free and any
    other one when it is not; `"exact"` takes `host_port` or refuses.
    """

    port: int = Field(ge=1, le=65535)
    protocol: Literal["http", "grpc", "websocket", "tcp", "udp"] = "http"
    publish: Literal["no", "auto", "prefer", "exact"] = "no"
    host_port: int | None = Field(default=None, ge=1, le=65535)

    @property
    def transport(self) -> Literal["tcp", "udp"]:
        """What it is on the wire."""
        return "udp" if self.protocol == "udp" else "tcp"


class HealthCheck(Value):
    """When an instance counts as ready, and as hanging afterwards (`retries` failures in a row).

    `grpc` asks by the protocol grpc.health.v1, of one `service` of the server or of the server as a whole.
    """

    type: Literal["http", "grpc", "tcp", "command", "none"] = "tcp"
    path: str = "/"
    service: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_.-]{0,255}$")
    port: int | None = None
    command: tuple[str, ...] = ()
    interval_s: float = Field(default=10.0, gt=0)
    timeout_s: float = Field(default=5.0, gt=0)
    start_period_s: float = Field(default=120.0, gt=0)
    retries: int = Field(default=3, ge=1)

    @property
    def good_below(self) -> int:
        """The HTTP statuses that count as ready. For the path `/`, which is often only our guess, any but a failure:
        an application without a start page or with a login answers 404 or 401 there and is up."""
        return 500 if self.path == "/" else 400


class Limits(Value):
    """How much the gateway leads to each port of a component at a time; None: any number.

    What is above is turned away at once: requests with 503, connections by closing them. Without room among the
    `connections`, requests are `pending`. `retries`: requests that are being sent again, also those that wait for a
    successor.
    """

    connections: int | None = Field(default=None, ge=1, le=1_000_000)
    pending: int | None = Field(default=None, ge=1, le=1_000_000)
    requests: int | None = Field(default=None, ge=1, le=1_000_000)
    retries: int | None = Field(default=None, ge=1, le=1_000_000)


class Ejection(Value):
    """An instance that answers so many requests in a row with 500 or more gets none for a while.

    `percent`: of the instances, that many at most at a time. Those that are left must carry the load.
    """

    after: int = Field(default=5, ge=1, le=1_000_000)
    for_s: float = Field(default=30.0, ge=1, le=86_400)
    percent: int = Field(default=50, ge=1, le=50)


class EnvVar(Value):
    """One setting. `value` may contain `{secret}`, which stands for the secret that `secret` names.

    A name without value and secret is what the code reads and nobody has set: `required` says whether it
    can start without.
    """

    name: EnvName
    value: str | None = None
    secret: str | None = None
    required: bool = False


class Volume(Value):
    """A named directory that survives its instances. `name` is unique within the component; `of`: the component whose
    volume it is, where that is another one."""

    name: ComponentName
    path: str = Field(pattern=r"^/")
    read_only: bool = False
    of: ComponentName | None = None


class Build(Value):
    """How the image of a component is made from the tree at `context` (a path within the repository).

    With `dockerfile` (a path within the repository) the repository says how; with `recipe`, the text of a
    generated Dockerfile, we do. `added`: what of the tree is then put on top, as pairs of a path within it and one
    within the image; a folder's content lies over what is there already.
    """

    context: str = "."
    dockerfile: str | None = None
    recipe: str | None = None
    target: str | None = None
    args: dict[str, str] = {}
    added: tuple[tuple[str, str], ...] = ()


class Component(Value):
    """Exactly one of `image` and `build` is set. `aliases`: further names under which its neighbours find it;
    `files`: what is put into its container."""

    name: ComponentName
    kind: ComponentKind
    language: str | None = None
    framework: str | None = None
    root: str = "."
    image: str | None = None
    build: Build | None = None
    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None
    start_command: str | None = None
    ports: tuple[Port, ...] = ()
    env: tuple[EnvVar, ...] = ()
    health: HealthCheck | None = None
    limits: Limits | None = None
    ejection: Ejection | None = None
    resources: Resources = Resources(cpu_millis=250, memory_bytes=256 * MIB)
    volumes: tuple[Volume, ...] = ()
    replicas: int = Field(default=1, ge=0, le=100)
    user: str | None = None
    capabilities: tuple[str, ...] = ()
    working_dir: str | None = None
    aliases: tuple[HostName, ...] = ()
    files: tuple[File, ...] = ()
    container: Container = Container()

    @property
    def powers(self) -> tuple[str, ...]:
        """The capabilities that only a user can have granted."""
        return tuple(name for name in self.capabilities if name not in HARMLESS_CAPABILITIES)

    @property
    def port(self) -> Port | None:
        """The port that others mean when they only name the component."""
        return self.ports[0] if self.ports else None
