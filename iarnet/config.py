"""Settings of a node: what they are, and where each value came from.

Defaults, then `config.yaml`, then `IARNET_*` variables, then flags. Read once, at the entry point, and passed
down; nothing else reads the environment. `docs/configuration.md` lists every key.
"""

import json
import os
import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, Field, ValidationError
from pydantic.fields import FieldInfo

from iarnet.config_layers import (
    Collection,
    Given,
    Layer,
    Origin,
    environment_layer,
    file_layer,
    flag_layer,
    masked,
)
from iarnet.config_sections import (
    Address,
    AnalysisSettings,
    Builds,
    DatabaseUrl,
    DockerSettings,
    FilePath,
    GatewaySettings,
    Git,
    Grpc,
    ListenAddress,
    ListenAddressOrNone,
    Logging,
    PeerAddress,
    ResourceLimits,
    Secrets,
    SystemReserve,
    Telemetry,
    Temporal,
    Tls,
    parse_address,
)
from iarnet.errors import InvalidConfig
from iarnet.models.base import Value
from iarnet.models.quantity import Millis, format_millis, format_size


class Settings(Value):
    """Everything but `data_dir` has a default, so that `Settings(data_dir=...)` is a whole node."""

    data_dir: FilePath = Field(description="where the node keeps what it knows")
    node_name: str = Field(
        default_factory=lambda: node_name(socket.gethostname()),
        pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
        description="name of this node, unique in its network; the host's name when unset",
    )
    mode: Literal["", "standalone", "k8s"] = Field(
        default="", description="`standalone` (Docker), `k8s` (in a cluster) or empty: find out"
    )
    listen_addr: ListenAddress = Field(
        default=":8083", description="address of the API; without a host see *Who can reach it*"
    )
    peer_listen_addr: ListenAddressOrNone = Field(
        default=":50051", description="address of gRPC: `CodeAnalysisService`; `none`: nowhere"
    )
    insecure_listen: bool = Field(
        default=False, description="an address without a host means all interfaces, even without TLS"
    )
    allowed_hosts: tuple[str, ...] = Field(default=(), description="further names under which the API may be called")
    initial_peers: tuple[PeerAddress, ...] = Field(default=(), description="peers to try first, `host:port`")
    workspace_dir: FilePath = Field(
        default_factory=lambda data: data["data_dir"] / "workspaces", description="where Git repositories are kept"
    )
    database_url: DatabaseUrl = Field(
        default_factory=lambda data: f"sqlite:///{data['data_dir'] / 'iarnet.db'}",
        description="`sqlite:///path` or `postgresql://user:password@host/name`",
    )
    token_file: FilePath = Field(
        default_factory=lambda data: data["data_dir"] / "token",
        description="token of the API, made at the first start with mode 0600; several APIs share one",
    )
    resource_limits: ResourceLimits = ResourceLimits()
    system_reserve: SystemReserve = SystemReserve()
    logging: Logging = Logging()
    tls: Tls = Tls()
    grpc: Grpc = Grpc()
    temporal: Temporal = Temporal()
    docker: DockerSettings = DockerSettings()
    gateway: GatewaySettings = GatewaySettings()
    analysis: AnalysisSettings = AnalysisSettings()
    builds: Builds = Builds()
    git: Git = Git()
    telemetry: Telemetry = Telemetry()
    secrets: Secrets = Field(default_factory=lambda data: Secrets(key_file=data["data_dir"] / "secrets.key"))

    @property
    def api_address(self) -> Address:
        """Where the API listens. An address without a host is loopback unless TLS or `insecure_listen` is on."""
        return self._reachable(self.listen_addr, sealed=self.tls.enabled)

    @property
    def peer_address(self) -> Address | None:
        """Where gRPC is answered, by the same rule; None: nowhere."""
        if self.peer_listen_addr == "none":
            return None
        return self._reachable(self.peer_listen_addr, sealed=self.grpc_tls.enabled)

    @property
    def grpc_tls(self) -> Tls:
        """That of the API, unless gRPC has its own."""
        return self.grpc.tls if self.grpc.tls.enabled else self.tls

    @property
    def shares_store(self) -> bool:
        """Whether other nodes may be at work on the same database."""
        return not self.database_url.startswith("sqlite")

    @property
    def address_file(self) -> Path:
        """Holds the base URL of the running node's API."""
        return self.data_dir / "address"

    @property
    def grpc_address_file(self) -> Path:
        """Holds `host:port` where the running node answers gRPC."""
        return self.data_dir / "grpc_address"

    def _reachable(self, text: str, *, sealed: bool) -> Address:
        address = parse_address(text)
        if address.host:
            return address
        return Address("0.0.0.0" if sealed or self.insecure_listen else "127.0.0.1", address.port)


@dataclass(frozen=True)
class Loaded:
    """`origins` has an entry for every key of `keys()`."""

    settings: Settings
    origins: dict[str, Origin]


def load_settings(
    config_file: Path | None, environ: Mapping[str, str], flags: Mapping[str, Any], *, cwd: Path | None = None
) -> Loaded:
    """Flags win over the environment, that over the file, that over defaults.

    Without `config_file`: `config.yaml` in `cwd`, else in the data directory, else none. Raises `InvalidConfig`.
    """
    known = {name: _collection(f) for name, f in keys().items()}
    above = environment_layer(environ, known) | flag_layer(flags, known)
    home = above["data_dir"].value if "data_dir" in above else _default_data_dir(environ)
    file = config_file or _find(cwd or Path(), Path(str(home)).expanduser())
    layer = _conventions(environ) | {"data_dir": Given(str(home), Origin())}
    layer |= (file_layer(file, known) if file else {}) | above
    settings = _validated({key: _written_out(key, given) for key, given in layer.items()})
    return Loaded(settings, {key: layer[key].origin if key in layer else Origin() for key in known})


def keys() -> dict[str, FieldInfo]:
    """Every setting by its dotted name, in the order in which they are documented."""
    return dict(_keys(Settings, ""))


def value_of(settings: Settings, key: str) -> Any:
    """The value of a dotted key, in the form in which it could be written into the file."""
    value: Any = settings
    for part in key.split("."):
        fields = type(value).model_fields
        name = next(n for n, f in fields.items() if part in (n, f.alias))
        unit, value = name, getattr(value, name)
    return written(unit, value)


def written(field: str, value: Any) -> Any:
    """`field` is the name in the code: its ending says the unit."""
    if value is None or isinstance(value, bool):
        return value
    if field.endswith("_bytes"):
        return format_size(value)
    if field.endswith("_millis"):
        return format_millis(value)
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def node_name(host: str) -> str:
    """A name for a node from the name of its host: short, lower case, digits and dashes."""
    name = re.sub(r"[^a-z0-9]+", "-", host.split(".")[0].lower())[:40].strip("-")
    return name or "node"


def _default_data_dir(environ: Mapping[str, str]) -> Path:
    base = environ.get("XDG_DATA_HOME") or Path(environ.get("HOME") or Path.home()) / ".local" / "share"
    return Path(base) / "iarnet"


def _conventions(environ: Mapping[str, str]) -> Layer:
    """What everybody's tools understand, weaker than the file."""
    names = {"docker.host": "DOCKER_HOST", "telemetry.endpoint": "OTEL_EXPORTER_OTLP_ENDPOINT"}
    return {
        key: Given(environ[name], Origin("environment", name)) for key, name in names.items() if environ.get(name)
    }


def _find(cwd: Path, data_dir: Path) -> Path | None:
    return next((f for f in (cwd / "config.yaml", data_dir / "config.yaml") if f.is_file()), None)


def _keys(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        key = prefix + (field.alias or name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _keys(field.annotation, f"{key}.")
        else:
            yield key, field


def _collection(field: FieldInfo) -> Collection:
    kind = get_origin(field.annotation)
    return "list" if kind is tuple else "mapping" if kind is dict else ""


def _written_out(key: str, given: Given) -> Given:
    field = keys()[key]
    if Millis in get_args(field.annotation) or field.alias == "cpu":
        return replace(given, value=str(given.value))  # YAML's 8 is eight cores, the code's 8 eight thousandths
    if not isinstance(given.value, str) or not _is_path(field) or given.value.startswith("~"):
        return given
    # A relative path in a file means the same wherever the node is started from.
    base = Path(given.origin.name).parent if given.origin.source == "file" else Path()
    return replace(given, value=os.path.normpath(base.absolute() / given.value))


def _is_path(field: FieldInfo) -> bool:
    return field.annotation is Path or Path in get_args(field.annotation) or FilePath in get_args(field.annotation)


def _validated(layer: Layer) -> Settings:
    tree: dict[str, Any] = {}
    for key, given in layer.items():
        *sections, last = key.split(".")
        place = tree
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = given.value
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        raise _refusal(error, layer) from error


def _refusal(error: ValidationError, layer: Layer) -> InvalidConfig:
    problems = [p for p in error.errors(include_url=False) if p["type"] != "default_factory_not_called"]
    lines, where = [], ""
    for problem in problems:
        loc = ".".join(str(part) for part in problem["loc"])
        key = next((k for k in layer if f"{loc}.".startswith(f"{k}.") or k.startswith(f"{loc}.")), loc)
        origin = layer[key].origin if key in layer else Origin()
        where = where or str(origin)
        lines.append(f"`{loc}` {_allowed(problem)} ({origin})")
    return InvalidConfig("\n".join(lines), where=where, hint="docs/configuration.md says what each key takes")


def _allowed(problem: Mapping[str, object]) -> str:
    rule = str(problem["msg"]).removeprefix("Value error, ").replace("Input should be", "must be")
    rule = rule.replace("a valid tuple", "a list").replace("a valid dictionary", "a section of names and values")
    if isinstance(problem["input"], (Mapping, BaseModel)):
        return rule
    quote = ": put it in quotes" if problem["type"] == "string_type" else ""
    return f"{rule}{quote}, not {json.dumps(masked(problem['input']), default=str)}"
