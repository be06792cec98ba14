"""Finding instances that run and no longer answer."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import datetime

from iarnet.errors import GatewayUnavailable, NotFound
from iarnet.gateway.base import Gateway
from iarnet.models.component import HealthCheck
from iarnet.models.instance import Instance
from iarnet.models.provider import ProviderEvent
from iarnet.providers.base import Provider
from iarnet.store.base import Clock, Store

_ROUND_S = 1.0

Life = tuple[str, datetime | None]
"""An instance from one start to its end."""
Publish = Callable[[ProviderEvent], Awaitable[None]]


class HangDetector:
    """Probes each running instance at its own interval; `retries` failures in a row make it unhealthy.

    An instance that has never answered may be starting, and has the time for it that its check grants. What the
    gateway checks anyway is not probed once more.
    """

    def __init__(self, provider: Provider, store: Store, gateway: Gateway, clock: Clock) -> None:
        self._provider = provider
        self._store = store
        self._gateway = gateway
        self._clock = clock
        self._failures: dict[Life, int] = {}
        self._next: dict[Life, float] = {}
        self._silent: set[Life] = set()
        self._checks: dict[Life, HealthCheck | None] = {}

    async def run(self, publish: Publish) -> None:
        while True:
            instances = await self._store.instances.list(provider_id=self._provider.info.id)
            running = {_life(i): i for i in instances if i.state == "running"}
            self._failures = {life: n for life, n in self._failures.items() if life in running}
            self._next = {life: t for life, t in self._next.items() if life in running}
            self._checks = {life: check for life, check in self._checks.items() if life in running}
            seen = await self._seen()
            due = [
                instance
                for life, instance in running.items()
                if instance.name not in seen and self._next.get(life, 0.0) <= time.monotonic()
            ]
            silent = {life for life, instance in running.items() if not seen.get(instance.name, True)}
            await asyncio.gather(
                *(self._look(instance, publish) for instance in due),
                *(self._publish(running[life], publish) for life in silent - self._silent),
            )
            self._silent = silent
            await asyncio.sleep(_ROUND_S)

    async def _seen(self) -> dict[str, bool]:
        """What the gateway knows; nothing while it does not say."""
        try:
            return await self._gateway.checks()
        except GatewayUnavailable:
            return {}

    async def _look(self, instance: Instance, publish: Publish) -> None:
        check = await self._check(instance)
        if check is None or check.type == "none":
            return
        life = _life(instance)
        self._next[life] = time.monotonic() + check.interval_s
        if await self._ready(instance, check):
            self._failures[life] = 0
        elif life in self._failures or self._has_had_its_time(instance, check):
            self._failures[life] = self._failures.get(life, 0) + 1
            if self._failures[life] == check.retries:
                await self._publish(instance, publish)

    async def _check(self, instance: Instance) -> HealthCheck | None:
        """Read once in its life: an instance of this name has no other."""
        life = _life(instance)
        if life not in self._checks:
            spec = await self._store.instances.spec(instance.name)
            if spec is None:
                return None
            self._checks[life] = spec.health
        return self._checks[life]

    async def _publish(self, instance: Instance, publish: Publish) -> None:
        await publish(ProviderEvent(provider_id=self._provider.info.id, kind="unhealthy", instance=instance))

    def _has_had_its_time(self, instance: Instance, check: HealthCheck) -> bool:
        started_at = instance.started_at
        return started_at is not None and (self._clock() - started_at).total_seconds() > check.start_period_s

    async def _ready(self, instance: Instance, check: HealthCheck) -> bool:
        """An instance that has gone meanwhile is not hanging: its end is an event of its own."""
        try:
            return (await self._provider.probe(instance.name, check)).ready
        except NotFound:
            return True


def _life(instance: Instance) -> Life:
    return instance.name, instance.started_at
