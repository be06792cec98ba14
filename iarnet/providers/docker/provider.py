"""A Docker engine, here or elsewhere, as a provider."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any
from weakref import WeakValueDictionary

from iarnet import faults
from iarnet.errors import (
    Conflict,
    IarnetError,
    InstanceFailed,
    NotFound,
    PortTaken,
    ProviderError,
    ProviderRefused,
    SpecMismatch,
    StaleEpoch,
)
from iarnet.models.component import HealthCheck
from iarnet.models.instance import Instance, InstanceSpec, Listener, LogLine, LogQuery, ProbeResult
from iarnet.models.provider import ProviderEvent, ProviderHealth, ProviderInfo, UsageSample
from iarnet.models.reconciliation import Belonging
from iarnet.models.resources import Capacity
from iarnet.models.traffic import AppNetwork
from iarnet.providers.base import ImageSource, SecretReader
from iarnet.providers.docker import events, logs
from iarnet.providers.docker.companion import Base, Companion
from iarnet.providers.docker.connection import Connection
from iarnet.providers.docker.engine import Engine, or_none
from iarnet.providers.docker.epochs import Epochs
from iarnet.providers.docker.errors import cannot_run, taken_port
from iarnet.providers.docker.files import Files
from iarnet.providers.docker.health import check
from iarnet.providers.docker.images import EngineImages, Images
from iarnet.providers.docker.meters import Meters
from iarnet.providers.docker.names import Names
from iarnet.providers.docker.network import Networks
from iarnet.providers.docker.owned import Owned, called, is_instance
from iarnet.providers.docker.ports import Ports
from iarnet.providers.docker.probe import Prober
from iarnet.providers.docker.spec import APP, NAME, OWNER, SPEC, container, instance, led
from iarnet.providers.docker.stop import Stopper
from iarnet.providers.docker.volumes import Volumes
from iarnet.tracing import traced

_THREADS_PER_START = 4
_WAITING_THREADS = 32
_REMOVAL_S = 60
_RACE_S = 10.0
_RACE_POLL_S = 0.05
_BEYOND_STARTING = ("removing", "dead")


@traced("docker", "ensure_image", "deploy", "_make", "_start", "network", "remove", "release", "restart")
class DockerProvider:
    """Every object it makes carries the label `iarnet.owner={owner}`; an object without it is never touched.

    `concurrency` bounds the containers that are started at once (more than 4 made a local engine slower),
    `publish_address` is where host ports are published, `gateway` says whether one runs on this machine, and
    `companion` what one that runs there is made from. The calls of one node on one engine are serialised by name
    here; an engine has one home node (DESIGN §6, fencing `node`).
    """

    def __init__(
        self,
        info: ProviderInfo,
        connection: Connection,
        *,
        owner: str,
        secrets: SecretReader,
        network_pool: str = "10.210.0.0/16",
        publish_address: str = "0.0.0.0",
        concurrency: int = 4,
        gateway: bool = False,
        companion: Base | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.info = info
        self._owner = owner
        self._names = Names(owner)
        self._secrets = secrets
        self._publish_address = publish_address
        self._gateway = gateway
        self._base = companion
        self._clock = clock
        self._engine = Engine(connection, threads=concurrency * _THREADS_PER_START)
        # Calls that mostly wait; among the others they would hold up what could go on.
        self._patient = Engine(connection, threads=_WAITING_THREADS)
        self._starts = asyncio.Semaphore(concurrency)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._epochs = Epochs(self._engine, owner, info.id)
        self._networks = Networks(self._engine, self._names, network_pool)
        self._volumes = Volumes(self._engine, self._names)
        self._files = Files(self._engine, secrets)
        self._owned = Owned(self._engine, info.id)
        self._ports = Ports(self._engine, publish_address)
        self._images = Images(self._patient)
        self._stopper = Stopper(self._patient, clock)
        self.companion = self._companion()
        """Beside its instances, whether it is there or not. None where none may be."""
        self._prober = Prober(self._engine, self.companion)
        self._meters = Meters(self._patient)
        self.images = EngineImages(self._engine)
        """The engine's images as a source for other providers."""

    async def capacity(self) -> Capacity:
        return await self._meters.capacity()

    async def ensure_image(self, image: str, source: ImageSource | None = None) -> None:
        await self._images.ensure(image, source)

    async def deploy(self, spec: InstanceSpec) -> Instance:
        self._refuse_impossible(spec)
        async with self._lock(spec.name):
            await self._epochs.admit(spec.app, spec.epoch)
            return await self._adopt(spec) or await self._make(spec)

    async def network(self, app: str, slot: int = 0, room: int = 0) -> AppNetwork:
        async with self._lock(f"network of {app}"):
            network = await self._networks.ensure(app, slot, room)
            faults.reached("network.made")
            return network

    async def remove(self, name: str, epoch: int) -> None:
        async with self._lock(name):
            found = await self._container(name)
            if found is None:
                return
            await self._epochs.admit(self._labels(name, found)[APP], epoch)
            await self._stopper.stop(found)
            faults.reached("container.stopped")
            await self._discard(found["Id"])

    async def owned(self, owner: str) -> list[Belonging]:
        return await self._owned.of(owner)

    async def discard(self, belonging: Belonging, epoch: int) -> None:
        # Under the lock of whoever makes such a thing and has been admitted before: one of the two is refused.
        async with self._lock(belonging.name if belonging.kind == "instance" else f"network of {belonging.app}"):
            if belonging.app:
                await self._epochs.admit(belonging.app, epoch)
            if belonging.kind == "network":
                await self._owned.remove_network(belonging.id, self._owner)
                self._epochs.forget(belonging.app, epoch)
            elif belonging.kind == "volume":
                await self._owned.remove_volume(belonging.id, self._owner)
            elif found := await self._owned.container(belonging.id, self._owner):
                await self._stopper.stop(found)
                await self._discard(belonging.id)

    async def release(self, app: str, epoch: int, volumes: tuple[str, ...] = ()) -> None:
        await self._epochs.admit(app, epoch)
        async with self._lock(f"network of {app}"):
            await self._networks.remove(app)
        faults.reached("network.removed")
        for volume in volumes:
            await self._volumes.remove(app, volume)
            faults.reached("volume.removed")
        self._epochs.forget(app, epoch)

    async def restart(self, name: str) -> Instance:
        async with self._lock(name):
            found = await self._found(name)
            await self._stopper.stop(found)
            async with self._starts:
                await self._engine.call(lambda c: c.start(found["Id"]))
            return instance(await self._found(name), self.info.id)

    async def inspect(self, name: str) -> Instance | None:
        found = await self._container(name)
        return instance(found, self.info.id) if found and self._is_ours(found) else None

    async def instances(self, owner: str, app: str | None = None) -> list[Instance]:
        labels = [NAME, f"{OWNER}={owner}"] + ([f"{APP}={app}"] if app else [])
        listed = await self._engine.ask(lambda c: c.containers(all=True, filters={"label": labels}))
        placed = [each for each in listed if is_instance(each["Labels"], called(each), Names(owner))]
        found = await asyncio.gather(*(self._engine.container(each["Id"]) for each in placed))
        return [instance(each, self.info.id) for each in found if each is not None]

    async def probe(self, name: str, check: HealthCheck) -> ProbeResult:
        return await self._prober.probe(instance(await self._found(name), self.info.id), check)

    async def listening(self, name: str) -> tuple[Listener, ...] | None:
        found = await self._found(name)
        return await self._prober.listening(instance(found, self.info.id), found["State"]["Pid"])

    async def logs(self, name: str, query: LogQuery) -> AsyncIterator[LogLine]:
        found = await self._found(name)
        terminal = bool(found["Config"].get("Tty"))
        async for line in logs.logs(self._engine, found["Id"], name, query, self._clock, terminal=terminal):
            yield line

    async def usage(self, owner: str) -> list[UsageSample]:
        return await self._meters.usage(owner)

    def events(self, owner: str) -> AsyncIterator[ProviderEvent]:
        return events.events(self._engine, self.info.id, owner)

    async def host_port_free(self, port: int, protocol: str = "tcp") -> bool:
        return await self._ports.free(port, protocol)

    async def check(self) -> ProviderHealth:
        health, known = await check(self._engine, gateway=self._gateway, companion=self._base)
        self.info = self.info.model_copy(update=known)
        return health

    async def prepare_companion(self, source: ImageSource) -> None:
        """See to it that it can be made there. Raises `ImageUnavailable`, `ProviderError`."""
        if self._base:
            await self._images.ensure(self._base.image, source)

    async def aclose(self) -> None:
        await self._engine.aclose()
        await self._patient.aclose()

    async def _adopt(self, spec: InstanceSpec) -> Instance | None:
        """None when there is nothing of this name, or nothing that can be started any more."""
        found = await self._container(spec.name)
        if found is None:
            return None
        given = self._labels(spec.name, found)
        if given.get(SPEC) != spec.spec_hash:
            raise SpecMismatch(
                f"{spec.name} exists with another specification ({given.get(SPEC)} instead of {spec.spec_hash})",
                where=self.info.id,
                component=spec.component,
                hint="remove it first; a changed component gets a new revision and with it a new name",
            )
        there = instance(found, self.info.id)
        if found["State"]["Running"] or spec.is_done_by(there):
            return there
        if found["State"]["Status"] in _BEYOND_STARTING:
            await self._discard(found["Id"])
            return None
        try:
            return await self._start(spec, found["Id"])
        except StaleEpoch:
            raise
        except IarnetError as error:
            # Its network was removed while it was stopped; or it never ran, as of one whose engine died about to
            # start it, which can't be started by any other ("id already in use").
            if not isinstance(error, NotFound) and found["State"]["Status"] != "created":
                raise
            await self._discard(found["Id"])
            return None

    async def _make(self, spec: InstanceSpec) -> Instance:
        slots = sorted({0, *spec.hosts.values()})
        addresses = {slot: (await self.network(spec.app, slot, spec.room)).address for slot in slots}
        await self._volumes.ensure(spec)
        faults.reached("volume.made")
        env = {name: led(value, spec.hosts, addresses) for name, value in (await self._env(spec)).items()}
        body = container(
            spec,
            env,
            names=self._names,
            addresses=addresses,
            publish_address=self._publish_address,
        )
        try:
            name = self._names.container(spec.name)
            made = await self._engine.call(
                lambda c: c.create_container_from_config(body, name=name)  # type: ignore[no-untyped-call]
            )
        except Conflict:
            return await self._adopt_when_made(spec)
        faults.reached("container.created")
        try:
            return await self._start(spec, made["Id"])
        except IarnetError:
            await self._discard(made["Id"])
            raise

    async def _adopt_when_made(self, spec: InstanceSpec) -> Instance:
        """Another process has the name; the engine shows its container a little later."""
        try:
            async with asyncio.timeout(_RACE_S):
                while (adopted := await self._adopt(spec)) is None:  # noqa: ASYNC110 - the other is another process
                    await asyncio.sleep(_RACE_POLL_S)
                return adopted
        except TimeoutError:
            raise ProviderError(
                f"Another process is making {spec.name} and does not get on", where=self.info.id, hint="try again"
            ) from None

    async def _start(self, spec: InstanceSpec, id: str) -> Instance:
        async with self._starts:
            await self._epochs.admit(spec.app, spec.epoch)
            # Before each start: whoever made it may have died before it had its files.
            await self._files.put(id, spec)
            try:
                await self._engine.call(lambda c: c.start(id))
            except IarnetError as e:
                raise await self._why_not_started(spec, e) from e
            faults.reached("container.started")
        return instance(await self._found(spec.name), self.info.id)

    async def _why_not_started(self, spec: InstanceSpec, error: IarnetError) -> IarnetError:
        port = taken_port(error)
        if port is not None:
            return await self._port_taken(spec, port)
        if cannot_run(error):
            return InstanceFailed(
                f"{spec.component} can't be started: {error.message}",
                where=spec.name,
                component=spec.component,
                hint="check its start command and that the image has this program",
            )
        return error

    async def _port_taken(self, spec: InstanceSpec, port: int) -> PortTaken:
        ports = [port] if port else [p.host_port for p in spec.ports if p.host_port]
        return PortTaken(
            f"Host port {', '.join(map(str, ports))} is held by {await self._ports.holder(ports)}",
            where=self.info.id,
            component=spec.component,
            hint=f"free it, or set {spec.component}.host_port to another one",
        )

    async def _env(self, spec: InstanceSpec) -> dict[str, str]:
        values = {env.name: await self._secrets.resolve(env) for env in spec.env}
        return {name: value for name, value in values.items() if value is not None}

    async def _discard(self, id: str) -> None:
        try:
            await or_none(self._engine.call(lambda c: c.remove_container(id, v=True, force=True)))
        except Conflict:
            # Its removal is under way.
            await or_none(self._patient.ask(lambda c: c.wait(id, timeout=_REMOVAL_S, condition="removed")))

    async def _container(self, name: str) -> dict[str, Any] | None:
        return await self._engine.container(self._names.container(name))

    async def _found(self, name: str) -> dict[str, Any]:
        found = await self._container(name)
        if found is None or not self._is_ours(found):
            raise NotFound(f"There is no instance {name} on {self.info.id}", where=self.info.id)
        return found

    def _labels(self, name: str, found: dict[str, Any]) -> dict[str, str]:
        if not self._is_ours(found):
            raise SpecMismatch(
                f"A container {self._names.container(name)} exists that this node did not make",
                where=self.info.id,
                hint=f"remove or rename it (`docker rm {self._names.container(name)}`)",
            )
        given: dict[str, str] = found["Config"]["Labels"]
        return given

    def _is_ours(self, found: dict[str, Any]) -> bool:
        given = found["Config"]["Labels"] or {}
        return given.get(OWNER) == self._owner and NAME in given

    def _refuse_impossible(self, spec: InstanceSpec) -> None:
        if spec.owner != self._owner:
            raise ProviderRefused(
                f"{spec.name} belongs to {spec.owner}, and {self.info.id} runs what belongs to {self._owner}",
                where=self.info.id,
                hint="deploy it from the node that it belongs to",
            )
        if spec.resources.gpu_millis and not self.info.capabilities.gpu:
            raise ProviderRefused(
                f"{spec.component} wants a GPU and {self.info.id} has none",
                where=self.info.id,
                component=spec.component,
                hint="place it on a provider with a GPU",
            )

    def _companion(self) -> Companion | None:
        if self._base is None:
            return None
        name = self._names.companion(self.info.id)
        return Companion(self._patient, self._images, self._base, owner=self._owner, name=name)

    def _lock(self, name: str) -> asyncio.Lock:
        return self._locks.setdefault(name, asyncio.Lock())
