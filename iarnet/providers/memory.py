"""A provider that runs nothing: the same contract in this process, for tests and what-if.

Instances run until they are told otherwise (`end`, `break_readiness`, `lose`); nothing is kept when it is gone.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from iarnet.errors import (
    Conflict,
    ImageUnavailable,
    NotFound,
    PortTaken,
    ProviderRefused,
    ProviderUnavailable,
    SpecMismatch,
    StaleEpoch,
)
from iarnet.models.component import HealthCheck
from iarnet.models.instance import Instance, InstanceSpec, Listener, LogLine, LogQuery, ProbeResult
from iarnet.models.lease import Place
from iarnet.models.provider import Capabilities, EventKind, ProviderEvent, ProviderHealth, ProviderInfo, UsageSample
from iarnet.models.reconciliation import Belonging
from iarnet.models.resources import GIB, Capacity, Resources
from iarnet.models.traffic import AppNetwork
from iarnet.providers.base import ImageSource
from iarnet.tracing import traced

_ROOMY = Resources(cpu_millis=64_000, memory_bytes=256 * GIB, storage_bytes=1024 * GIB)
_KILLED = 137


@dataclass
class _Running:
    spec: InstanceSpec
    instance: Instance
    ready: bool = True
    listening: tuple[Listener, ...] | None = None
    lines: list[LogLine] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)


@traced("memory", "ensure_image", "deploy", "network", "remove", "release", "restart")
class MemoryProvider:
    """`faults(operation, name)` is called before each step and may raise; `pause` likewise may take time.

    Steps are the names of the methods and, within `deploy`, `create` and `start`: a fault in `start` leaves what a
    crash between the two leaves. `images`: what can be had; None means all. Names in `foreign` are taken by others.
    `network`: what every app has; None means that no gateway can stand beside it.
    """

    def __init__(
        self,
        id: str = "memory",
        *,
        home: str = "",
        owner: str | None = None,
        total: Resources = _ROOMY,
        images: Iterable[str] | None = None,
        foreign: Iterable[str] = (),
        network: AppNetwork | None = None,
        faults: Callable[[str, str], None] = lambda operation, name: None,
        pause: Callable[[str, str], Awaitable[None]] | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        able = Capabilities(gpu=total.gpu_millis > 0, gateway=network is not None)
        self.info = ProviderInfo(id=id, name=id, type="memory", home=home, capabilities=able)
        self.reachable = True
        self.networks: set[str] = set()
        self.volumes: set[str] = set()
        self._owner = owner
        self._total = total
        self._images = None if images is None else set(images)
        self._foreign = set(foreign)
        self._network = network
        self._faults = faults
        self._pause = pause
        self._clock = clock
        self._all: dict[str, _Running] = {}
        self._epochs: dict[str, int] = {}
        self._held_ports: set[Place] = set()
        self._listeners: list[tuple[str, asyncio.Queue[ProviderEvent | None]]] = []
        self._made = 0

    # What a test does to it.

    def end(self, name: str, exit_code: int = 0, *, oom: bool = False) -> None:
        """Its program ends. `oom`: because it used more memory than it may."""
        one = self._one(name)
        code = _KILLED if oom else exit_code
        self._change(one, state="exited", exit_code=code, oom_killed=oom, finished_at=self._clock())
        if oom:
            self._tell("oom", one)
        self._tell("died", one)

    def break_readiness(self, name: str) -> None:
        """It runs on and answers no more."""
        self._one(name).ready = False

    def mend_readiness(self, name: str) -> None:
        self._one(name).ready = True

    def listen(self, name: str, *where: Listener) -> None:
        """It takes connections there and nowhere else."""
        self._one(name).listening = where

    def say(self, name: str, text: str, stream: Literal["stdout", "stderr"] = "stdout") -> None:
        """It prints a line."""
        one = self._one(name)
        one.lines.append(LogLine(instance=name, time=self._clock(), stream=stream, text=text))
        one.news.set()

    def hold_port(self, port: int, protocol: str = "tcp") -> None:
        """Something that is not ours listens there."""
        self._held_ports.add((port, protocol))

    def disconnect(self) -> None:
        """It can't be reached; its instances run on."""
        self.reachable = False
        for _, queue in self._listeners:
            queue.put_nowait(None)

    def reconnect(self) -> None:
        self.reachable = True

    def lose(self, name: str) -> None:
        """An instance is gone without a trace, as when somebody removes it by hand."""
        one = self._all.pop(name)
        self._change(one, state="removed")
        self._tell("removed", one)

    def all(self) -> list[tuple[InstanceSpec, Instance]]:
        """What is there."""
        return [(one.spec, one.instance) for one in list(self._all.values())]

    def found_at(self, name: str, host: str) -> str | None:
        """Where the instance finds the host of this name."""
        spec = self._one(name).spec
        if self._network and host in spec.hosts:
            return _at(self._network, spec.hosts[host]).address
        neighbours = (one for one in self._all.values() if one.spec.app == spec.app and host in one.spec.aliases)
        return next((one.instance.address for one in neighbours), None)

    # The contract.

    async def capacity(self) -> Capacity:
        await self._step("capacity")
        used = sum((one.spec.resources for one in self._all.values() if one.instance.state == "running"), Resources())
        bounded = Resources(**{k: min(getattr(used, k), getattr(self._total, k)) for k in Resources.model_fields})
        return Capacity(total=self._total, used=bounded, available=self._total.minus(bounded))

    async def ensure_image(self, image: str, source: ImageSource | None = None) -> None:
        await self._step("ensure_image", image)
        if self._images is None or image in self._images:
            return
        if source is None or not await source.has(image):
            raise ImageUnavailable(
                f"The image {image} can't be had", where=self.info.id, hint="check the image's name and tag"
            )
        async for _ in source.export(image):
            pass
        self._images.add(image)

    async def deploy(self, spec: InstanceSpec) -> Instance:
        await self._step("deploy", spec.name)
        self._refuse_impossible(spec)
        self._admit(spec.app, spec.epoch)
        one = self._adopt(spec)
        if one is not None and (one.instance.state == "running" or spec.is_done_by(one.instance)):
            return one.instance
        if one is None:
            await self._step("create", spec.name)
            # Another call may have been faster meanwhile.
            one = self._adopt(spec) or self._create(spec)
        await self._step("start", spec.name)
        return self._start(one)

    async def network(self, app: str, slot: int = 0, room: int = 0) -> AppNetwork:
        await self._step("network", app)
        if self._network is None:
            raise ProviderRefused(
                f"{self.info.id} has no network that a gateway could reach",
                where=self.info.id,
                hint="have its instances reached directly",
            )
        if slot and app not in self.networks:
            raise NotFound(f"{app} has no network on {self.info.id}", where=self.info.id, hint="make it first")
        self.networks.add(app)
        return _at(self._network, slot)

    async def remove(self, name: str, epoch: int) -> None:
        await self._step("remove", name)
        self._refuse_foreign(name)
        one = self._all.get(name)
        if one is None:
            return
        self._admit(one.spec.app, epoch)
        del self._all[name]
        if one.instance.state == "running":
            self._change(one, state="exited", exit_code=143, finished_at=self._clock())
            self._tell("died", one)
        self._change(one, state="removed")
        self._tell("removed", one)

    async def release(self, app: str, epoch: int, volumes: tuple[str, ...] = ()) -> None:
        await self._step("release", app)
        self._admit(app, epoch)
        self.networks.discard(app)
        self.volumes -= {f"{app}/{volume}" for volume in volumes}
        self._epochs.pop(app, None)

    async def owned(self, owner: str) -> list[Belonging]:
        await self._step("owned")
        mine = [one.instance for one in self._all.values() if one.spec.owner == owner]
        beside = owner == self._owner or self._owner is None
        return [
            *(_instance(each) for each in mine),
            *(Belonging(kind="network", id=app, name=app, app=app) for app in sorted(self.networks) if beside),
            *(_volume(volume) for volume in sorted(self.volumes) if beside),
        ]

    async def discard(self, belonging: Belonging, epoch: int) -> None:
        await self._step("discard", belonging.name)
        self._admit(belonging.app, epoch)
        if belonging.kind == "network":
            self._refuse_use(belonging.app)
            self.networks.discard(belonging.app)
            self._epochs.pop(belonging.app, None)
        elif belonging.kind == "volume":
            self.volumes.discard(belonging.id)
        elif (one := self._all.get(belonging.name)) and one.instance.id == belonging.id:
            await self.remove(belonging.name, epoch)

    async def restart(self, name: str) -> Instance:
        await self._step("restart", name)
        one = self._one(name)
        if one.instance.state == "running":
            self._change(one, state="exited", exit_code=143, finished_at=self._clock())
            self._tell("died", one)
        return self._start(one)

    async def inspect(self, name: str) -> Instance | None:
        await self._step("inspect", name)
        one = self._all.get(name)
        return one.instance if one else None

    async def instances(self, owner: str, app: str | None = None) -> list[Instance]:
        await self._step("instances")
        return [one.instance for one in self._all.values() if one.spec.owner == owner and app in (None, one.spec.app)]

    async def probe(self, name: str, check: HealthCheck) -> ProbeResult:
        await self._step("probe", name)
        one = self._one(name)
        if one.instance.state != "running":
            ended = f"{one.instance.state} with code {one.instance.exit_code}"
            return ProbeResult(ready=False, running=False, detail=ended)
        if check.type == "none":
            return ProbeResult(ready=True, detail="running")
        ready = one.ready and (one.listening is None or Listener(port=check.port or 0) in one.listening)
        return ProbeResult(ready=ready, detail=f"{check.type} check: {'answers' if ready else 'no answer'}")

    async def listening(self, name: str) -> tuple[Listener, ...] | None:
        await self._step("listening", name)
        one = self._one(name)
        if one.instance.state != "running":
            return ()
        if one.listening is None:
            return tuple(Listener(port=p.port) for p in one.spec.ports if p.protocol == "tcp")
        return one.listening

    async def logs(self, name: str, query: LogQuery) -> AsyncIterator[LogLine]:
        await self._step("logs", name)
        one = self._one(name)
        position = max(0, len(one.lines) - query.tail)
        oldest = None if query.since_s is None else self._clock().timestamp() - query.since_s
        while True:
            for line in one.lines[position:]:
                position += 1
                if oldest is None or line.time is None or line.time.timestamp() >= oldest:
                    yield line
            if not query.follow or one.instance.state != "running":
                return
            one.news.clear()
            await one.news.wait()

    async def usage(self, owner: str) -> list[UsageSample]:
        """Every instance uses half of the memory that it may."""
        await self._step("usage")
        return [
            UsageSample(instance=name, time=self._clock(), memory_bytes=one.spec.resources.memory_bytes // 2)
            for name, one in self._all.items()
            if one.spec.owner == owner and one.instance.state == "running"
        ]

    def events(self, owner: str) -> AsyncIterator[ProviderEvent]:
        queue: asyncio.Queue[ProviderEvent | None] = asyncio.Queue()
        self._listeners.append((owner, queue))
        return self._heard(owner, queue)

    async def host_port_free(self, port: int, protocol: str = "tcp") -> bool:
        await self._step("host_port_free")
        return self._port_holder((port, protocol)) is None

    async def check(self) -> ProviderHealth:
        if not self.reachable:
            return ProviderHealth(reachable=False, problem="disconnected", hint="reconnect it")
        return ProviderHealth(reachable=True, version="1")

    async def aclose(self) -> None:
        self.disconnect()

    async def _heard(self, owner: str, queue: asyncio.Queue[ProviderEvent | None]) -> AsyncIterator[ProviderEvent]:
        try:
            await self._step("events")
            while (event := await queue.get()) is not None:
                yield event
            raise self._unavailable()
        finally:
            self._listeners.remove((owner, queue))

    def _create(self, spec: InstanceSpec) -> _Running:
        if self._images is not None and spec.image not in self._images:
            raise ImageUnavailable(f"No such image: {spec.image}", where=self.info.id, hint="build or pull it first")
        self.networks.add(spec.app)
        self.volumes |= {f"{spec.app}/{v.of or spec.component}/{v.name}" for v in spec.volumes}
        self._made += 1
        created = Instance(
            name=spec.name,
            app=spec.app,
            component=spec.component,
            replica=spec.replica,
            revision=spec.revision,
            epoch=spec.epoch,
            provider_id=self.info.id,
            spec_hash=spec.spec_hash,
            id=f"{self.info.id}-{self._made}",
            state="created",
            image=spec.image,
            ports=spec.ports,
        )
        self._all[spec.name] = one = _Running(spec, created)
        return one

    def _start(self, one: _Running) -> Instance:
        if one.instance.state == "running":
            return one.instance
        try:
            self._take_ports(one.spec)
        except PortTaken:
            if one.instance.started_at is None:
                del self._all[one.spec.name]
            raise
        running = {"state": "running", "exit_code": None, "oom_killed": False, "finished_at": None}
        self._change(one, **running, started_at=self._clock(), address=one.spec.name)
        self._tell("started", one)
        return one.instance

    def _take_ports(self, spec: InstanceSpec) -> None:
        for place in _places(spec):
            holder = self._port_holder(place)
            if holder is not None:
                raise PortTaken(
                    f"Host port {place[0]} is held by {holder}",
                    where=self.info.id,
                    component=spec.component,
                    hint=f"free it, or set {spec.component}.host_port to another one",
                )

    def _port_holder(self, place: Place) -> str | None:
        if place in self._held_ports:
            return "another program on that host"
        running = (one for one in self._all.values() if one.instance.state == "running")
        return next((one.spec.name for one in running if place in _places(one.spec)), None)

    def _adopt(self, spec: InstanceSpec) -> _Running | None:
        self._refuse_foreign(spec.name)
        one = self._all.get(spec.name)
        if one is not None and one.instance.spec_hash != spec.spec_hash:
            raise SpecMismatch(
                f"{spec.name} exists with another specification",
                where=self.info.id,
                component=spec.component,
                hint="remove it first; a changed component gets a new revision and with it a new name",
            )
        return one

    def _admit(self, app: str, epoch: int) -> None:
        newest = self._epochs.get(app, 0)
        if epoch < newest:
            raise StaleEpoch(
                f"A newer change of {app} (epoch {newest}) has taken over from epoch {epoch}",
                where=self.info.id,
                hint="follow the newer change",
            )
        self._epochs[app] = epoch

    def _refuse_use(self, app: str) -> None:
        if users := sorted(name for name, one in self._all.items() if one.spec.app == app):
            raise Conflict(f"The network of {app} is in use by {', '.join(users)}", hint="remove its instances first")

    def _refuse_foreign(self, name: str) -> None:
        if name in self._foreign:
            raise SpecMismatch(
                f"{name} exists and was not made by this node", where=self.info.id, hint="remove or rename it"
            )

    def _refuse_impossible(self, spec: InstanceSpec) -> None:
        if self._owner not in (None, spec.owner):
            raise ProviderRefused(
                f"{spec.name} belongs to {spec.owner}",
                where=self.info.id,
                hint="deploy it from the node it belongs to",
            )
        if spec.resources.gpu_millis and not self.info.capabilities.gpu:
            raise ProviderRefused(
                f"{spec.component} wants a GPU", where=self.info.id, hint="place it on a provider with a GPU"
            )

    def _one(self, name: str) -> _Running:
        one = self._all.get(name)
        if one is None:
            raise NotFound(f"There is no instance {name} on {self.info.id}", where=self.info.id)
        return one

    def _change(self, one: _Running, **fields: object) -> None:
        one.instance = one.instance.model_copy(update=fields)
        one.news.set()

    def _tell(self, kind: EventKind, one: _Running) -> None:
        for owner, queue in self._listeners:
            if owner == one.spec.owner and self.reachable:
                queue.put_nowait(ProviderEvent(provider_id=self.info.id, kind=kind, instance=one.instance))

    async def _step(self, operation: str, name: str = "") -> None:
        if self._pause is not None:
            await self._pause(operation, name)
        if not self.reachable:
            raise self._unavailable()
        self._faults(operation, name)

    def _unavailable(self) -> ProviderUnavailable:
        return ProviderUnavailable("Disconnected", where=self.info.id, hint="reconnect it")


def _at(network: AppNetwork, slot: int) -> AppNetwork:
    return network.model_copy(update={"address": f"{network.address}-{slot}"}) if slot else network


def _places(spec: InstanceSpec) -> set[Place]:
    return {(port.host_port, port.protocol) for port in spec.ports if port.host_port}


def _instance(instance: Instance) -> Belonging:
    found = {"name": instance.name, "app": instance.app, "component": instance.component, "instance": instance}
    return Belonging(kind="instance", id=instance.id, **found)


def _volume(id: str) -> Belonging:
    app, _, name = id.partition("/")
    return Belonging(kind="volume", id=id, name=name, app=app, component=name.partition("/")[0])
