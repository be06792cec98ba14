"""The gateway of this node: one Envoy beside the engine of this machine, from the first service on."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from importlib import import_module

import structlog

from iarnet.config import Settings
from iarnet.errors import GatewayUnavailable, IarnetError
from iarnet.gateway.base import Gateway
from iarnet.gateway.direct import Direct
from iarnet.models.instance import Instance
from iarnet.models.traffic import Breaker, EndpointLoad, Service, ServiceTraffic
from iarnet.providers.registry import LOCAL
from iarnet.secrets.base import Secrets
from iarnet.store.base import Store
from workers.mode import local_provider

_AGAIN_S = 2.0
_START_S = 30.0

log = structlog.get_logger()

Start = Callable[[], Awaitable[Gateway]]
Elsewhere = Callable[[], Mapping[str, Gateway]]


class LateGateway:
    """Implements `Gateway` by one that is started when something is to be served, and waited for from then on.

    Before, there is nothing to lead anywhere. A start that fails is tried again until it succeeds.
    """

    def __init__(self, start: Start, wanted: Callable[[], Awaitable[bool]]) -> None:
        """`wanted`: whether there is something to lead to already, or a name to be answered."""
        self._start = start
        self._wanted = wanted
        self._starting: asyncio.Task[Gateway] | None = None
        self._problem = ""

    def begin(self) -> None:
        self._starting = self._starting or asyncio.create_task(self._started())

    async def look(self) -> None:
        """Begin when there is a reason to."""
        if self._starting is None and await self._wanted():
            self.begin()

    async def aclose(self) -> None:
        if self._starting and not self._starting.done():
            self._starting.cancel()
            await asyncio.wait([self._starting])

    async def serve(self, app: str, provider_id: str, services: Sequence[Service]) -> None:
        if services:
            self.begin()
        await (await self._now()).serve(app, provider_id, services)

    async def admit(self, instance: Instance) -> None:
        await (await self._now()).admit(instance)

    async def suspend(self, instance: str) -> None:
        await (await self._now()).suspend(instance)

    async def drain(self, instance: str, within_s: float, *, hold: bool = False) -> None:
        await (await self._now()).drain(instance, within_s, hold=hold)

    async def loads(self) -> list[EndpointLoad]:
        return await (await self._now()).loads()

    async def unopened(self) -> dict[int, str]:
        """None before it has started, whatever keeps it from that."""
        if self._starting is None or not self._starting.done():
            return {}
        return await self._starting.result().unopened()

    async def uncertified(self) -> dict[str, str]:
        """None before it has started, whatever keeps it from that."""
        if self._starting is None or not self._starting.done():
            return {}
        return await self._starting.result().uncertified()

    async def breakers(self, app: str = "") -> list[Breaker]:
        """None before it has started, whatever keeps it from that."""
        if self._starting is None or not self._starting.done():
            return []
        return await self._starting.result().breakers(app)

    async def checks(self) -> dict[str, bool]:
        """None before it has started, whatever keeps it from that."""
        if self._starting is None or not self._starting.done():
            return {}
        return await self._starting.result().checks()

    async def traffic(self, app: str = "") -> list[ServiceTraffic]:
        """None before it has started, whatever keeps it from that."""
        if self._starting is None or not self._starting.done():
            return []
        return await self._starting.result().traffic(app)

    async def refresh(self, app: str = "", within_s: float = 10.0) -> None:
        await self.look()
        await (await self._now(within_s)).refresh(app, within_s)

    async def _now(self, within_s: float = _START_S) -> Gateway:
        if self._starting is None:
            return Direct()
        try:
            return await asyncio.wait_for(asyncio.shield(self._starting), within_s)
        except TimeoutError:
            raise GatewayUnavailable(
                f"The gateway does not start: {self._problem or 'no answer yet'}",
                hint="`iarnet doctor` says more. Without one: set gateway.enabled to false.",
            ) from None

    async def _started(self) -> Gateway:
        while True:
            try:
                return await self._start()
            except IarnetError as error:
                if self._problem != error.message:
                    log.error("the gateway can't be started", problem=error.message, log=error.log)
                self._problem = error.message
                await asyncio.sleep(_AGAIN_S)


class NodeGateways:
    """Implements `Gateways`. `elsewhere`: those beside other engines, as of now; `none` stands for those that are not
    there."""

    def __init__(
        self, local: Gateway, elsewhere: Elsewhere = dict, provider_id: str = LOCAL, none: Gateway | None = None
    ) -> None:
        self.local = local
        self._provider_id = provider_id
        self._elsewhere = elsewhere
        self._none = none or Direct()

    def all(self) -> Mapping[str, Gateway]:
        """By provider."""
        return {self._provider_id: self.local, **self._elsewhere()}

    def get(self, provider_id: str) -> Gateway:
        return self.all().get(provider_id, self._none)


@asynccontextmanager
async def gateways(
    settings: Settings, store: Store, secrets: Secrets, elsewhere: Elsewhere = dict
) -> AsyncIterator[NodeGateways]:
    """For a node. Envoy stays when it ends, unless there is nothing to lead to any more.

    One that runs although none is to be used any more is led on until what it serves has been deployed without it.
    """
    direct, provider_id = Direct(store.traffic), local_provider(settings)
    if not (settings.gateway.enabled or await _is_led_on(settings, store)):
        yield NodeGateways(direct, elsewhere, provider_id, direct)
        return
    async with AsyncExitStack() as stack:
        used = partial(_is_used, store, provider_id, named=settings.gateway.enabled)
        late = LateGateway(partial(_envoy, stack, settings, store, secrets), used)
        stack.push_async_callback(late.aclose)
        await late.look()
        yield NodeGateways(late, elsewhere, provider_id, direct)


async def _is_used(store: Store, provider_id: str, *, named: bool) -> bool:
    return bool(await store.traffic.services(provider_id=provider_id) or (named and await store.domains.list()))


async def _is_led_on(settings: Settings, store: Store) -> bool:
    """The one that runs although it is not to be any more; it ends when there is nothing to lead to."""
    if not (settings.data_dir / "gateway").exists():
        return False
    process = await asyncio.to_thread(import_module, "iarnet.gateway.process")
    where = process.place(settings.data_dir / "gateway")
    if await process.found(where) is None:
        return False
    if await _is_used(store, local_provider(settings), named=False):
        return True
    await process.stop(where)
    return False


async def _envoy(stack: AsyncExitStack, settings: Settings, store: Store, secrets: Secrets) -> Gateway:
    envoy = await asyncio.to_thread(import_module, "workers.envoy")
    gateway: Gateway = await envoy.started(stack, settings, store, secrets)
    return gateway
