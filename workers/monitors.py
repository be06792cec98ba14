"""The monitors of a node, one per provider."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AbstractAsyncContextManager, nullcontext

import structlog

from iarnet.errors import IarnetError
from iarnet.models.provider import EventKind
from iarnet.models.work import Batch
from iarnet.providers.base import Provider
from workers.monitor import ProviderMonitor

log = structlog.get_logger()


class NodeMonitors:
    """Implements `activities.watching.Monitors`."""

    def __init__(self, make: Callable[[Provider], ProviderMonitor]) -> None:
        self._make = make
        self._monitors: dict[str, ProviderMonitor] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._added = asyncio.Condition()

    async def add(self, provider: Provider) -> None:
        """It can be placed on at once, and is watched from then on."""
        monitor = self._make(provider)
        async with self._added:
            self._monitors[provider.info.id] = monitor
            self._added.notify_all()
        try:
            await monitor.begin()
        except IarnetError as error:
            log.warning("provider can't be measured yet", provider=provider.info.id, problem=error.message)
        self._tasks[provider.info.id] = asyncio.create_task(monitor.run())

    async def remove(self, provider_id: str) -> None:
        if monitor := self._monitors.pop(provider_id, None):
            await monitor.aclose()
        if task := self._tasks.pop(provider_id, None):
            task.cancel()
            await asyncio.wait([task])

    async def aclose(self) -> None:
        for provider_id in list(self._tasks):
            await self.remove(provider_id)

    def handling(
        self, provider_id: str, instance: str, expected: Collection[EventKind]
    ) -> AbstractAsyncContextManager[None]:
        monitor = self._monitors.get(provider_id)
        return monitor.handling(instance, expected) if monitor else nullcontext()

    async def follow(self, provider_id: str, cursor: int) -> AsyncIterator[Batch]:
        """Also of a provider that is attached later, or taken away and attached again."""
        while True:
            async with self._added:
                await self._added.wait_for(lambda: provider_id in self._monitors)
            async for batch in self._monitors[provider_id].follow(cursor):
                cursor = batch.cursor
                yield batch
