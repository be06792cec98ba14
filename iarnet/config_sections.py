"""The sections of the settings, and the forms that values may have."""

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import AfterValidator, Field, model_validator

from iarnet.models.base import Value
from iarnet.models.quantity import Millis, SizeBytes
from iarnet.models.resources import GIB, MIB, Resources

ADDRESS_FORM = "must look like :8083, 127.0.0.1:8083 or [::1]:8083"


class Address(NamedTuple):
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """`host` is empty when none is given. Raises ValueError."""
    match = re.fullmatch(r"(?:\[([0-9a-fA-F:.%]+)\]|([A-Za-z0-9._-]*)):(\d{1,5})", text, re.ASCII)
    if not match or int(match[3]) > 65535:
        raise ValueError(ADDRESS_FORM)
    return Address(match[1] or match[2] or "", int(match[3]))


def _address(text: str) -> str:
    parse_address(text)
    return text


def _optional_address(text: str) -> str:
    return _address(text) if text else text


def _peer(text: str) -> str:
    if not parse_address(text).host:
        raise ValueError("must name a host, like peer2.example.com:50051")
    return text


def _address_or_none(text: str) -> str:
    return text if text == "none" else _address(text)


def _optional_peer(text: str) -> str:
    return _peer(text) if text else text


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _pool(text: str) -> str:
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError as error:
        raise ValueError("must be an IPv4 network such as 10.210.0.0/16") from error
    if network.prefixlen > 24:
        raise ValueError("must have room for networks of applications: a /24 or larger")
    return text


def _port_range(text: str) -> str:
    match = re.fullmatch(r"(\d{1,5})-(\d{1,5})", text, re.ASCII)
    if not match or not 1 <= int(match[1]) <= int(match[2]) <= 65535:
        raise ValueError("must be a range such as 20000-29999")
    return text


def _https(text: str) -> str:
    if not text.startswith("https://"):
        raise ValueError("must be an address that begins with https://")
    return text


def _collector(text: str) -> str:
    if text and not text.startswith(("http://", "https://")):
        raise ValueError("must be an address that begins with http:// or https://")
    return text


def _ip(text: str) -> str:
    try:
        ipaddress.ip_address(text)
    except ValueError as error:
        raise ValueError("must be an IP address such as 0.0.0.0 or 127.0.0.1") from error
    return text


def _database(text: str) -> str:
    if not re.match(r"(sqlite(\+aiosqlite)?|postgres(ql)?(\+asyncpg)?)://", text):
        raise ValueError("must begin with sqlite:// or postgresql://")
    return text


def _expanded(path: Path) -> Path:
    return path.expanduser()


ListenAddress = Annotated[str, AfterValidator(_address)]
ListenAddressOrNone = Annotated[str, AfterValidator(_address_or_none)]
PeerAddress = Annotated[str, AfterValidator(_peer)]
DatabaseUrl = Annotated[str, AfterValidator(_database)]
FilePath = Annotated[Path, AfterValidator(_expanded)]
PortNumber = Annotated[int, Field(ge=0, le=65535)]


class ResourceLimits(Value):
    """The most of this machine that applications may have together; unset means all of it."""

    cpu_millis: Millis | None = Field(default=None, alias="cpu", description="cores, such as `8` or `500m`")
    memory_bytes: SizeBytes | None = Field(default=None, alias="memory", description="such as `16Gi`")
    gpu_millis: Millis | None = Field(default=None, alias="gpu", description="devices, such as `4`")
    storage_bytes: SizeBytes | None = Field(default=None, alias="storage", description="such as `200Gi`")

    def cap(self, total: Resources) -> Resources:
        """The smaller of what is there and what is allowed, each for itself."""
        limits = {k: getattr(self, k) for k in Resources.model_fields}
        return Resources(**{k: v if limits[k] is None else min(v, limits[k]) for k, v in total.model_dump().items()})


class SystemReserve(Value):
    """What is kept back for the machine itself and for this node."""

    cpu_millis: Millis = Field(default=250, alias="cpu", description="cores")
    memory_bytes: SizeBytes = Field(default=512 * MIB, alias="memory", description="memory")
    storage_bytes: SizeBytes = Field(default=2 * GIB, alias="storage", description="room on the disk")

    def resources(self) -> Resources:
        return Resources(**dict(self))


class Rotation(Value):
    max_size_bytes: SizeBytes = Field(
        default=100_000_000, alias="maxSize", gt=0, description="size at which a log file is rotated"
    )
    max_age_days: int = Field(default=30, alias="maxAge", ge=0, description="days that they stay; 0: no limit")
    max_backups: int = Field(default=10, alias="maxBackups", ge=0, description="most of them; 0: no limit")
    compress: bool = Field(default=True, description="gzip rotated files")


class Logging(Value):
    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="least that is logged")
    format: Literal["json", "text"] = Field(default="json", description="`json` or, for people, `text`")
    output: str = Field(default="stdout", min_length=1, description="`stdout`, `stderr` or the path of a file")
    rotation: Rotation = Rotation()


class Tls(Value):
    enabled: bool = Field(default=False, description="serve the API over TLS")
    cert_file: FilePath | None = Field(default=None, description="certificate chain, PEM")
    key_file: FilePath | None = Field(default=None, description="private key, PEM")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.enabled and not (self.cert_file and self.key_file):
            raise ValueError("needs cert_file and key_file when enabled")
        return self


class TemporalTls(Value):
    enabled: bool = Field(default=False, description="connect with TLS")
    server_name: str = Field(default="", description="name to expect in the certificate, when not the address")
    ca_file: FilePath | None = Field(default=None, description="authority to trust, PEM; the system's when unset")
    cert_file: FilePath | None = Field(default=None, description="client certificate, PEM")
    key_file: FilePath | None = Field(default=None, description="client key, PEM")


class Temporal(Value):
    address: Annotated[str, AfterValidator(_optional_address)] = Field(
        default="", description="an existing Temporal, `host:7233`; empty starts one of our own"
    )
    namespace: str = Field(default="iarnet", pattern=r"^[A-Za-z0-9._-]{1,200}$", description="namespace")
    tls: TemporalTls = TemporalTls()
    api_key_file: FilePath | None = Field(default=None, description="file that holds an API key")
    build_id: str = Field(
        default="",
        pattern=r"^(\d+(\.\d+){0,3})?$",
        description="version of the workers, such as `2`: runs end on the one they began on; empty: on any",
    )
    binary: str = Field(default="", description="path of the `temporal` program for our own; empty finds it")
    port: PortNumber = Field(default=7233, description="port of our own Temporal, on loopback; 0 takes a free one")
    ui_port: PortNumber = Field(default=8233, description="port of its web UI, on loopback; 0 takes a free one")
    strict: bool = Field(
        default=False, description="our own syncs each transaction to disk: slower, survives a power cut"
    )

    @model_validator(mode="after")
    def _key_is_sealed(self) -> Self:
        if self.api_key_file and not self.tls.enabled:
            raise ValueError("needs tls.enabled for api_key_file: a key must not travel in clear")
        return self


class DockerSettings(Value):
    host: str = Field(
        default="", description="engine, such as `unix:///var/run/docker.sock`; empty finds it, `none` uses none"
    )
    network_pool: Annotated[str, AfterValidator(_pool)] = Field(
        default="10.210.0.0/16", description="addresses from which each application gets its own network"
    )
    publish_address: Annotated[str, AfterValidator(_ip)] = Field(
        default="0.0.0.0", description="address of this machine on which published ports listen"
    )
    publish_ports: Annotated[str, AfterValidator(_port_range)] = Field(
        default="20000-29999", description="ports that are handed out to what is published"
    )

    @property
    def port_range(self) -> range:
        first, last = map(int, self.publish_ports.split("-"))
        return range(first, last + 1)


class AcmeSettings(Value):
    """Where certificates come from that browsers trust by themselves."""

    directory: Annotated[str, AfterValidator(_https)] = Field(
        default="https://acme-v02.api.letsencrypt.org/directory",
        description="ACME server (RFC 8555) for domains with the certificate `acme`: the address of its directory",
    )
    email: str = Field(default="", description="where that server may write to about certificates")
    agree: bool = Field(default=False, description="you agree to that server's terms of service")
    ca_bundle: FilePath | None = Field(
        default=None, description="authorities to trust for that server itself, PEM; empty: those of the system"
    )


class GatewaySettings(Value):
    enabled: bool = Field(
        default=True, description="lead traffic through Envoy, where the engine's networks can be reached from here"
    )
    remote: bool = Field(
        default=True, description="also on engines elsewhere, where Envoy runs in a container in that host's network"
    )
    image: str = Field(
        default="", description="image for that, with `envoy` and Perl; empty: Debian and the program of this machine"
    )
    binary: str = Field(default="", description="path of `envoy`, 1.38 or newer; empty: the one that comes along")
    threads: int = Field(default=0, ge=0, le=256, description="Envoy's worker threads; 0: one per core")
    http_port: int = Field(default=80, ge=1, le=65535, description="port for names, opened with the first domain")
    https_port: int = Field(default=443, ge=1, le=65535, description="port for names that have a certificate")
    access_log: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="share of the requests that is logged, 0 to 1; what fails is logged in any case",
    )
    own_names: tuple[str, ...] = Field(
        default=("localhost", "home.arpa", "internal", "test"),
        min_length=1,
        description="names for which the node's own authority may sign, each with all below it",
    )
    acme: AcmeSettings = AcmeSettings()


class Telemetry(Value):
    endpoint: Annotated[str, AfterValidator(_collector)] = Field(
        default="", description="where traces of changes go, OTLP over HTTP, such as `http://localhost:4318`"
    )


class AnalyserTls(Value):
    enabled: bool = Field(default=False, description="ask it over TLS")
    ca_file: FilePath | None = Field(default=None, description="authority to trust for it, PEM; gRPC's when unset")


class AnalysisSettings(Value):
    """Another analyser than the built-in one."""

    address: Annotated[str, AfterValidator(_optional_peer)] = Field(
        default="", description="a `CodeAnalysisService` to ask, `host:port`; empty: the built-in analysis"
    )
    timeout_s: float = Field(
        default=30.0, gt=0, le=90, description="seconds that it may take; then the built-in one is asked"
    )
    token_file: FilePath | None = Field(default=None, description="file that holds the token that it wants")
    tls: AnalyserTls = AnalyserTls()

    @model_validator(mode="after")
    def _token_is_sealed(self) -> Self:
        if self.token_file and not self.tls.enabled and not is_loopback(parse_address(self.address or ":0").host):
            raise ValueError("needs tls.enabled for token_file: a token must not travel in clear")
        return self


class GrpcTls(Tls):
    enabled: bool = Field(default=False, description="serve gRPC over TLS with these; else as `tls` says")


class Grpc(Value):
    tls: GrpcTls = GrpcTls()


class Builds(Value):
    network: str = Field(
        default="", description="network of build steps: a name, `host`, `none`; empty: the engine's"
    )
    args: dict[str, str] = Field(default={}, description="build arguments for every build")
    base_images: dict[str, str] = Field(default={}, description="base image -> the one to use instead")
    ca_bundle: FilePath | None = Field(default=None, description="authorities that build steps trust, PEM")
    proxy: str = Field(default="", description="proxy for build steps, a URL")
    # A little less than what runs it may take (`activities.options`): that would begin anew instead of failing.
    timeout_s: float = Field(
        default=1800.0, gt=0, le=3500, description="seconds that one build may take, at most 3500"
    )


class Git(Value):
    allow_file: bool = Field(default=False, description="allow repositories on this machine's disk (`file://`)")
    allow_http: bool = Field(default=False, description="allow unencrypted `http://` addresses")
    allow_private_hosts: bool = Field(default=False, description="allow hosts in private and loopback networks")
    max_bytes: SizeBytes = Field(default=GIB, gt=0, description="largest repository")
    max_files: int = Field(default=200_000, gt=0, description="most files in one snapshot")
    timeout_s: float = Field(default=300.0, gt=0, le=590, description="seconds that one fetch may take, at most 590")
    ca_bundle: FilePath | None = Field(default=None, description="authorities to trust for https, PEM")
    proxy: str = Field(default="", description="proxy for https, a URL")
    binary: str = Field(default="git", min_length=1, description="the `git` program, a name or a path")


class Secrets(Value):
    key_file: FilePath = Field(description="key that seals stored secrets, made at the first start with mode 0600")
