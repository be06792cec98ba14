"""Finding instances that run and no longer answer."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from iarnet.errors import NotFound
from iarnet.models.component import HealthCheck
from iarnet.models.instance import Instance
from iarnet.models.provider import ProviderEvent
from iarnet.providers.base import Provider
from iarnet.store.base import Store

_ROUND_S = 1.0

Publish = Callable[[ProviderEvent], Awaitable[None]]


class HangDetector:
    """Probes each running instance at its own interval; `retries` failures in a row make it unhealthy.

    An instance that has never answered is still starting, which is the business of whoever started it.
    """

    def __init__(self, provider: Provider, store: Store) -> None:
        self._provider = provider
        self._store = store
        self._failures: dict[str, int] = {}
        self._next: dict[str, float] = {}

    async def run(self, publish: Publish) -> None:
        while True:
            instances = await self._store.instances.list(provider_id=self._provider.info.id)
            running = {i.name: i for i in instances if i.state == "running"}
            self._failures = {n: f for n, f in self._failures.items() if n in running}
            due = [i for n, i in running.items() if self._next.get(n, 0.0) <= time.monotonic()]
            await asyncio.gather(*(self._look(instance, publish) for instance in due))
            await asyncio.sleep(_ROUND_S)

    async def _look(self, instance: Instance, publish: Publish) -> None:
        spec = await self._store.instances.spec(instance.name)
        check = spec.health if spec else None
        if check is None or check.type == "none":
            return
        self._next[instance.name] = time.monotonic() + check.interval_s
        if await self._ready(instance, check):
            self._failures[instance.name] = 0
        elif instance.name in self._failures:
            self._failures[instance.name] += 1
            if self._failures[instance.name] == check.retries:
                del self._failures[instance.name]
                await publish(ProviderEvent(provider_id=self._provider.info.id, kind="unhealthy", instance=instance))

    async def _ready(self, instance: Instance, check: HealthCheck) -> bool:
        """An instance that has gone meanwhile is not hanging: its end is an event of its own."""
        try:
            return (await self._provider.probe(instance.name, check)).ready
        except NotFound:
            return True
