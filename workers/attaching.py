"""The providers of a node: attached when they can be had, and looked for again while they can't."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import structlog
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from iarnet.builds.late import LateBuilder
from iarnet.errors import Conflict, IarnetError, InvalidInput, NotFound, ProviderUnavailable
from iarnet.models.provider import ProviderHealth, ProviderInfo, ProviderRegistration, ProviderState
from iarnet.models.resources import Capacity, Resources
from iarnet.providers.base import Provider
from iarnet.providers.registry import LOCAL, ProviderRegistry, info_of, local_info
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
    """`docker_urls`: where an engine of this machine may be; none when it is not to be used.

    A provider that is attached is monitored and has its workflow. `_problems` is what was said of the others.
    """

    node: str
    providers: ProviderRegistry
    store: Store
    monitors: NodeMonitors
    builder: LateBuilder
    remotes: Remotes
    client: Client
    docker_urls: tuple[str, ...]
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

    async def add(self, registration: ProviderRegistration) -> ProviderHealth:
        """Registered only when it answers: a row alone would be a provider that never worked.

        Raises `ProviderUnavailable`, `AlreadyExists`, `InvalidInput`, and `NotFound` for a secret that is not there.
        """
        if registration.id == LOCAL:
            raise InvalidInput(f"{LOCAL} is this node's own engine.", where="id", hint="Choose another id.")
        async with self._turn:
            provider = await self.providers.register(registration)
            try:
                health = await _reachable(provider)
                await self.store.providers.register(registration)
            except BaseException:
                await self.providers.forget(registration.id)
                raise
            await self._attach(provider, _PREPARED_S)
            return health

    async def remove(self, provider_id: str) -> None:
        """Raises `NotFound`, and `Conflict` while applications are there. From a provider that is lost they go."""
        async with self._turn:
            await self._require_registered(provider_id)
            await self._leave(provider_id)
            await self._end_watch(provider_id)
            await self.monitors.remove(provider_id)
            await self.remotes.remove(provider_id)
            await self.store.providers.unregister(provider_id)
            await self.providers.forget(provider_id)
            self._problems.pop(provider_id, None)
        log.info("provider removed", provider=provider_id)

    async def _look_again(self) -> None:
        while True:
            await asyncio.sleep(_AGAIN_S)
            try:
                await self._look()
            except (IarnetError, RPCError) as error:
                log.warning("providers can't be looked for now", problem=str(error))

    async def _look(self) -> None:
        await asyncio.gather(self._find_docker(), self._restore())

    async def _find_docker(self) -> None:
        if self._has(LOCAL):
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
        before = next((s.info for s in states if s.info.id == LOCAL), None)
        if before and before.home != self.node:
            return
        if self.docker_urls:
            where = ", ".join(self.docker_urls)
            hint = "Start Docker: it is found within seconds. `iarnet doctor` says more."
            await self._say(local_info(self.node), f"No Docker engine answers at {where}.", hint)
        elif before:
            hint = "Set docker.host, or connect an engine with `iarnet providers add`."
            await self._say(before, "This node uses no Docker of this machine.", hint)

    async def _restore(self) -> None:
        """Attach what is registered and is not attached."""
        async with self._turn:
            registered = await self.store.providers.registrations()
            await asyncio.gather(*(self._restore_one(r) for r in registered if not self._has(r.id)))

    async def _restore_one(self, registration: ProviderRegistration) -> None:
        try:
            provider = await self.providers.register(registration)
        except IarnetError as error:
            await self._say(info_of(registration, self.node), error.message, error.hint)
        else:
            await self._attach(provider)

    def _has(self, provider_id: str) -> bool:
        return any(p.info.id == provider_id for p in self.providers.all())

    async def _attach(self, provider: Provider, prepared_within_s: float = 0.0) -> None:
        await self.remotes.attach(provider, self.builder, prepared_within_s)
        await self.monitors.add(provider)
        await watch_provider(self.client, provider.info)
        self._problems.pop(provider.info.id, None)
        log.info("provider attached", provider=provider.info.id, host=provider.info.host)

    async def _say(self, info: ProviderInfo, problem: str, hint: str) -> None:
        """Once, in the log and in the list of providers."""
        if self._problems.get(info.id) == problem:
            return
        self._problems[info.id] = problem
        log.warning("provider can't be attached", provider=info.id, problem=problem, hint=hint)
        health = ProviderHealth(reachable=False, problem=problem, hint=hint)
        await self.store.providers.save_state(
            ProviderState(info=info, status="unreachable", capacity=_NOTHING, health=health, seen_at=self.clock())
        )

    async def _require_registered(self, provider_id: str) -> None:
        registered = [r.id for r in await self.store.providers.registrations()]
        if provider_id in registered:
            return
        if provider_id == LOCAL and self._has(LOCAL):
            hint = "Start the node with docker.host set to none to do without it."
            raise Conflict(f"{LOCAL} is this node's own engine.", where=LOCAL, hint=hint)
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
        if self._has(provider_id) and (await self.providers.get(provider_id).check()).reachable:
            raise Conflict(
                f"{provider_id} runs {names}.",
                where=provider_id,
                hint=f"Stop or delete first what is there: iarnet stop {apps[0]}.",
            )
        log.warning("forgetting what is on a provider that is lost", provider=provider_id, apps=names)

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
