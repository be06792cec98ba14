"""One running replica of a component on a provider."""

import hashlib
import json
from typing import Literal

from pydantic import Field

from iarnet.models.base import AppName, ComponentName, Time, Value
from iarnet.models.component import ComponentKind, EnvVar, HealthCheck, Volume
from iarnet.models.container import Container, File, HostName
from iarnet.models.resources import Resources


class PortBinding(Value):
    """`host_port` is set when the port is published on the provider's host."""

    port: int = Field(ge=1, le=65535)
    protocol: Literal["tcp", "udp"] = "tcp"
    host_port: int | None = Field(default=None, ge=1, le=65535)


class InstanceSpec(Value):
    """Everything that a provider needs to run one replica.

    `name` is `iarnet-{app}-{component}-r{revision}-{replica}`. `aliases` are the names under which its
    neighbours on the network of the application find it, `hosts` those of its neighbours that it reaches through the
    gateway: each with the slot of its address (`ServedPort`). `room`: how many instances of the application there may
    be beside each other, itself among them.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,120}$")
    app: AppName
    component: ComponentName
    kind: ComponentKind
    owner: str
    revision: int = Field(ge=1)
    replica: int = Field(ge=0)
    epoch: int = Field(ge=0)
    image: str
    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None
    env: tuple[EnvVar, ...] = ()
    ports: tuple[PortBinding, ...] = ()
    volumes: tuple[Volume, ...] = ()
    resources: Resources = Resources()
    health: HealthCheck | None = None
    user: str | None = None
    capabilities: tuple[str, ...] = ()
    working_dir: str | None = None
    aliases: tuple[str, ...] = ()
    hosts: dict[HostName, int] = {}
    room: int = Field(default=0, ge=0)
    files: tuple[File, ...] = ()
    container: Container = Container()

    @property
    def spec_hash(self) -> str:
        """Changes exactly when a running instance would have to be replaced.

        Name, revision, epoch, owner and room say which deployment asked, not what runs, and are left out. So are the
        hosts: a neighbour that is added later is found by its alias, and one that is served keeps its address.
        """
        what = self.model_dump(mode="json", exclude={"name", "revision", "epoch", "owner", "hosts", "room"})
        return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]

    def is_done_by(self, instance: "Instance") -> bool:
        """It is a job, and that one has carried it out: it is not to run again."""
        return self.kind == "job" and instance.state == "exited" and instance.exit_code == 0


InstanceState = Literal["pending", "created", "running", "exited", "lost", "removed"]


class Instance(Value):
    """What a provider says of an instance: `id` is the provider's own, `address` is where it listens inside."""

    name: str
    app: AppName
    component: ComponentName
    replica: int = 0
    revision: int = 1
    epoch: int = 0
    provider_id: str
    spec_hash: str
    id: str = ""
    state: InstanceState
    image: str = ""
    address: str | None = None
    ports: tuple[PortBinding, ...] = ()
    exit_code: int | None = None
    oom_killed: bool = False
    started_at: Time | None = None
    finished_at: Time | None = None
    message: str = ""

    @property
    def end(self) -> str:
        """What has become of one that has ended, in words."""
        if self.oom_killed:
            return "ran out of memory and was killed"
        if self.killed:
            return f"was killed (exit code {self.exit_code}), as happens when memory runs out"
        return f"ended with exit code {self.exit_code}"

    @property
    def killed(self) -> bool:
        """By SIGKILL (128 + 9). An engine may learn of an end before it learns that it was for memory."""
        return self.oom_killed or self.exit_code == 137


class ProbeResult(Value):
    """`detail` says what was tried and what came back, `running` whether there was anything to try."""

    ready: bool
    detail: str = ""
    running: bool = True


class Listener(Value):
    """A TCP socket on which an instance takes connections; of `loopback`, from nobody but itself."""

    port: int
    loopback: bool = False


class LogQuery(Value):
    """`since_s`: only lines of the last so many seconds."""

    tail: int = Field(default=200, ge=0, le=100_000)
    follow: bool = False
    since_s: float | None = None


class LogLine(Value):
    instance: str
    time: Time | None = None
    stream: Literal["stdout", "stderr"] = "stdout"
    text: str
