"""The providers of a node: attached when they can be had, and looked for again while they can't.

Where several nodes share a store, each provider has one home: the node that was first to claim it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import structlog
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from iarnet import faults
from iarnet.builds.late import LateBuilder
from iarnet.errors import Conflict, IarnetError, InvalidInput, NotFound, ProviderUnavailable
from iarnet.models.provider import ProviderHealth, ProviderInfo, ProviderRegistration, ProviderState
from iarnet.models.resources import Capacity, Resources
from iarnet.planning.homes import is_absent
from iarnet.providers.base import Provider
from iarnet.providers.registry import ProviderRegistry, info_of, local_info
from iarnet.store.base import Clock, Store
from workers.monitors import NodeMonitors
from workers.remotes import Remotes
from workers.sweep import watch_provider

_AGAIN_S = 2.0
_PREPARED_S = 30.0
_NOTHING = Capacity(total=Resources(), used=Resources(), available=Resources())

log = structlog.get_logger()


@dataclass(frozen=True)
class Attachments:
    """`docker_urls`: where an engine of this machine may be, which is called `local`; none when it is not to be used.

    `shared`: other nodes use the same store. A provider that is attached is monitored and has its workflow.
    `_problems` is what was said of the others. A node that doesn't attach leaves to others what is added.
    """

    node: str
    providers: ProviderRegistry
    store: Store
    monitors: NodeMonitors
    builder: LateBuilder
    remotes: Remotes
    client: Client
    local: str
    docker_urls: tuple[str, ...]
    shared: bool
    attaches: bool
    clock: Clock
    _problems: dict[str, str] = field(default_factory=dict)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @asynccontextmanager
    async def looking(self) -> AsyncIterator[None]:
        """What can be had now is attached at the beginning, the rest when it can be had."""
        await self._look()
        task = asyncio.create_task(self._look_again())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def take(self, provider: Provider) -> None:
        """One that is made already. Raises `AlreadyExists`."""
        self.providers.add(provider)
        await self._attach(provider)

    async def add(self, registration: ProviderRegistration) -> ProviderHealth:
        """Registered only when it answers: a row alone would be a provider that never worked.

        Raises `ProviderUnavailable`, `AlreadyExists`, `InvalidInput`, and `NotFound` for a secret that is not there.
        """
        if registration.id == self.local:
            raise InvalidInput(f"{self.local} is this node's own engine.", where="id", hint="Choose another id.")
        async with self._turn:
            provider = await self.providers.register(registration)
            try:
                health = await _reachable(provider)
                await self.store.providers.register(registration)
                faults.reached("provider.registered")
            except BaseException:
                await self.providers.forget(registration.id)
                raise
            if self.attaches and await self._is_home_of(registration):
                await self._attach(provider, added=True)
            elif self.attaches:
                await self.providers.forget(registration.id)
            return health

    async def remove(self, provider_id: str) -> None:
        """Raises `NotFound`, and `Conflict` while applications are there. From a provider that is lost they go."""
        async with self._turn:
            await self._require_registered(provider_id)
            await self._leave(provider_id)
            await self._end_watch(provider_id)
            await self._detach(provider_id)
            await self.store.providers.unregister(provider_id)

    async def _look_again(self) -> None:
        while True:
            await asyncio.sleep(_AGAIN_S)
            try:
                await self._look()
            except (IarnetError, RPCError) as error:
                log.warning("providers can't be looked for now", problem=str(error))
            except Exception:
                log.exception("providers can't be looked for now")

    async def _look(self) -> None:
        await asyncio.gather(self._find_docker(), self._restore(), self._let_go())

    async def _find_docker(self) -> None:
        if self._has(self.local):
            return
        for url in self.docker_urls:
            if provider := await self.providers.find_docker([url]):
                self.builder.use(url)
                await self._attach(provider)
                return
        await self._say_no_docker()

    async def _say_no_docker(self) -> None:
        """Also of one that was there when the node ran before, so that nothing is placed on it."""
        states = await self.store.providers.states()
        before = next((s.info for s in states if s.info.id == self.local), None)
        if before and before.home != self.node:
            return
        if self.docker_urls:
            where = ", ".join(self.docker_urls)
            hint = "Start Docker: it is found within seconds. `iarnet doctor` says more."
            await self._say(local_info(self.node, self.local), f"No Docker engine answers at {where}.", hint)
        elif before:
            hint = "Set docker.host, or connect an engine with `iarnet providers add`."
            await self._say(before, "This node uses no Docker of this machine.", hint)

    async def _restore(self) -> None:
        """Attach what is registered and is not attached."""
        async with self._turn:
            registered = await self.store.providers.registrations()
            missing = [r for r in registered if not self._has(r.id) and await self._is_home_of(r)]
            await asyncio.gather(*(self._restore_one(r) for r in missing))

    async def _is_home_of(self, registration: ProviderRegistration) -> bool:
        """Of a node that is alone, also under another name than before."""
        if not self.shared:
            return True
        states = await self.store.providers.states()
        if known := next((s for s in states if s.info.id == registration.id), None):
            return known.info.home == self.node
        return await self.store.providers.claim(self._unseen(info_of(registration, self.node))) == self.node

    async def _let_go(self) -> None:
        """What was removed by way of another node."""
        if not self.shared:
            return
        async with self._turn:
            registered = {r.id for r in await self.store.providers.registrations()}
            for provider in self.providers.all():
                if provider.info.origin != "internal" and provider.info.id not in registered:
                    await self._detach(provider.info.id)
                    await self.store.providers.unregister(provider.info.id)  # its state, which we kept

    async def _restore_one(self, registration: ProviderRegistration) -> None:
        try:
            provider = await self.providers.register(registration)
        except IarnetError as error:
            await self._say(info_of(registration, self.node), error.message, error.hint)
        else:
            await self._attach(provider)

    def _has(self, provider_id: str) -> bool:
        return any(p.info.id == provider_id for p in self.providers.all())

    async def _attach(self, provider: Provider, *, added: bool = False) -> None:
        """All of it or nothing: what is attached by half would count as attached, and not be tried again."""
        try:
            await self.remotes.attach(provider, self.builder, _PREPARED_S if added else 0)
            await self.monitors.add(provider)
            await watch_provider(self.client, provider.info, added=added)
        except BaseException:
            await self._drop(provider.info.id)
            raise
        self._problems.pop(provider.info.id, None)
        log.info("provider attached", provider=provider.info.id, host=provider.info.host)

    async def _drop(self, provider_id: str) -> None:
        """Here alone: what it runs, and leads there, goes on."""
        await self.monitors.remove(provider_id)
        await self.remotes.drop(provider_id)
        await self.providers.forget(provider_id)

    async def _detach(self, provider_id: str) -> None:
        """Its instances run on."""
        await self.monitors.remove(provider_id)
        await self.remotes.remove(provider_id)
        await self.providers.forget(provider_id)
        self._problems.pop(provider_id, None)
        log.info("provider removed", provider=provider_id)

    async def _say(self, info: ProviderInfo, problem: str, hint: str) -> None:
        """Once, in the log and in the list of providers."""
        if self._problems.get(info.id) == problem:
            return
        self._problems[info.id] = problem
        log.warning("provider can't be attached", provider=info.id, problem=problem, hint=hint)
        await self.store.providers.save_state(self._unseen(info, problem, hint))

    def _unseen(self, info: ProviderInfo, problem: str = "", hint: str = "") -> ProviderState:
        health = ProviderHealth(reachable=False, problem=problem, hint=hint)
        return ProviderState(info=info, status="unreachable", capacity=_NOTHING, health=health, seen_at=self.clock())

    async def _require_registered(self, provider_id: str) -> None:
        registered = [r.id for r in await self.store.providers.registrations()]
        if provider_id in registered:
            return
        if provider_id == self.local and self._has(self.local):
            hint = "Start the node with docker.host set to none to do without it."
            raise Conflict(f"{self.local} is this node's own engine.", where=self.local, hint=hint)
        known = ", ".join(registered) or "none"
        raise NotFound(f"No provider {provider_id} is registered.", where=provider_id, hint=f"Registered: {known}.")

    async def _leave(self, provider_id: str) -> None:
        instances = await self.store.instances.list(provider_id=provider_id)
        leases = await self.store.ledger.leases(provider_id=provider_id)
        if apps := sorted({i.app for i in instances} | {x.app for x in leases}):
            await self._require_lost(provider_id, apps)
        await self.store.ledger.release([lease.id for lease in leases])
        for instance in instances:
            await self.store.instances.forget(instance.name, provider_id)

    async def _require_lost(self, provider_id: str, apps: list[str]) -> None:
        names = ", ".join(apps)
        if await self._answers(provider_id):
            raise Conflict(
                f"{provider_id} runs {names}.",
                where=provider_id,
                hint=f"Stop or delete first what is there: iarnet stop {apps[0]}.",
            )
        log.warning("forgetting what is on a provider that is lost", provider=provider_id, apps=names)

    async def _answers(self, provider_id: str) -> bool:
        """To whichever node is its home."""
        if self._has(provider_id):
            return (await self.providers.get(provider_id).check()).reachable
        states = await self.store.providers.states()
        known = next((s for s in states if s.info.id == provider_id), None)
        return bool(known and known.status == "active" and not is_absent(known, self.clock()))

    async def _end_watch(self, provider_id: str) -> None:
        try:
            await self.client.get_workflow_handle(f"provider.{provider_id}").signal("end")
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise


async def _reachable(provider: Provider) -> ProviderHealth:
    health = await provider.check()
    if not health.reachable:
        raise ProviderUnavailable(health.problem, where=provider.info.id, hint=health.hint)
    return health
