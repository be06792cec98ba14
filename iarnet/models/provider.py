"""Something that runs instances."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from iarnet.models.base import Time, Value, number
from iarnet.models.instance import Instance
from iarnet.models.resources import Capacity, Resources

ProviderType = Literal["docker", "kubernetes", "process", "vm", "peer", "memory"]
ProviderOrigin = Literal["internal", "external", "discovered"]
ProviderStatus = Literal["active", "unreachable", "draining"]
EventKind = Literal["started", "died", "removed", "oom", "unhealthy", "healthy"]


class Capabilities(Value):
    """What a provider can do; what it can't is not asked of it. The gateway may open ports from `lowest_port` on."""

    volumes: bool = True
    publish_ports: bool = True
    gpu: bool = False
    logs: bool = True
    usage: bool = True
    gateway: bool = False
    lowest_port: int = 1
    fencing: Literal["strong", "node", "none"] = "node"


class ProviderInfo(Value):
    """`home` is the node that can reach it; activities on it run on that node's queue."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    name: str
    type: ProviderType
    origin: ProviderOrigin = "internal"
    host: str = "localhost"
    port: int = 0
    home: str = ""
    architecture: str = "amd64"
    labels: dict[str, str] = {}
    capabilities: Capabilities = Capabilities()


def _numbers(value: object) -> object:
    """Here and not at each field of `Resources`: placement makes thousands of those."""
    return {key: number(one) for key, one in value.items()} if isinstance(value, dict) else value


class ProviderRegistration(Value):
    """What a user gives to connect a provider. Credentials are names of stored secrets, never values.

    Docker: `tcp://host:2376` with `config.ca_cert`, `config.client_cert` and secret `config.client_key`, or
    `ssh://user@host` with secret `config.ssh_key`.
    """

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    name: str
    type: ProviderType
    url: str = ""
    origin: ProviderOrigin = "external"
    config: dict[str, str] = {}
    secrets: dict[str, str] = {}
    labels: dict[str, str] = {}
    limits: Annotated[Resources | None, BeforeValidator(_numbers)] = None


class ProviderHealth(Value):
    reachable: bool
    latency_s: float = 0.0
    version: str = ""
    problem: str = ""
    hint: str = ""


class ProviderState(Value):
    """The last that was seen of a provider: what placement works on.

    `reserved` is the sum of the leases on it, `ours` what our instances really use.
    """

    info: ProviderInfo
    status: ProviderStatus
    capacity: Capacity
    reserved: Resources = Resources()
    ours: Resources = Resources()
    health: ProviderHealth
    seen_at: Time


class ProviderEvent(Value):
    """Something happened to an instance of ours, outside of any call of ours."""

    provider_id: str
    kind: EventKind
    instance: Instance


class UsageSample(Value):
    """`cpu_millis` over the time since the sample before; bytes as of now."""

    instance: str
    time: Time
    cpu_millis: int = 0
    memory_bytes: int = 0
    network_rx_bytes: int = 0
    network_tx_bytes: int = 0
