"""Finding instances that run and no longer answer."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import inf

from iarnet.errors import GatewayUnavailable, NotFound
from iarnet.gateway.base import Gateway
from iarnet.models.component import HealthCheck
from iarnet.models.instance import Instance
from iarnet.models.provider import ProviderEvent
from iarnet.providers.base import Provider
from iarnet.store.base import Clock, Store

_ROUND_S = 1.0
# Of what was running before anybody listened, and is adopted, no event tells.
_REREAD_S = 10.0
# All of them at once would keep a node that has just started from everything else.
_FIRST_A_SECOND = 100

Publish = Callable[[ProviderEvent], Awaitable[None]]


@dataclass(eq=False)
class _Life:
    """Of an instance, from one start to its end. `failures` is None until it has answered or had its time to."""

    instance: Instance
    check: HealthCheck | None = None
    failures: int | None = None
    due: float = 0.0


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
        self._lives: dict[str, _Life] = {}
        self._silent: set[_Life] = set()
        self._news: list[Instance] = []
        self._reread_at = 0.0

    def hear(self, instance: Instance) -> None:
        """What has become of it, and is recorded by now."""
        self._news.append(instance)

    async def run(self, publish: Publish) -> None:
        self._reread_at = 0.0
        while True:
            await self._learn()
            seen = await self._seen()
            now = time.monotonic()
            due = [life for name, life in self._lives.items() if name not in seen and life.due <= now]
            silent = {life for name, life in self._lives.items() if not seen.get(name, True)}
            await asyncio.gather(
                *(self._look(life, publish) for life in due),
                *(self._publish(life.instance, publish) for life in silent - self._silent),
            )
            self._silent = silent
            await asyncio.sleep(_ROUND_S)

    async def _learn(self) -> None:
        """What is there, from what was told since the last round. All of it is read rarely: that costs the more the
        more there is."""
        if self._reread_at <= time.monotonic():
            self._news.clear()  # it was written down before; what comes while this is read is newer
            rows = await self._store.instances.list(provider_id=self._provider.info.id)
            for name in self._lives.keys() - {row.name for row in rows}:
                del self._lives[name]
            now = time.monotonic()
            for number, row in enumerate(rows):
                self._take(row, due=now + number / _FIRST_A_SECOND)
            self._reread_at = now + _REREAD_S
        for instance in self._news:
            self._take(instance)
        self._news.clear()

    def _take(self, instance: Instance, due: float = 0.0) -> None:
        known = self._lives.get(instance.name)
        if instance.state != "running":
            self._lives.pop(instance.name, None)
        elif known and known.instance.started_at == instance.started_at:
            known.instance = instance
        else:
            self._lives[instance.name] = _Life(instance, due=due)

    async def _seen(self) -> dict[str, bool]:
        """What the gateway knows; nothing while it does not say."""
        try:
            return await self._gateway.checks()
        except GatewayUnavailable:
            return {}

    async def _look(self, life: _Life, publish: Publish) -> None:
        check = await self._check(life)
        if check is None:
            return
        life.due = time.monotonic() + check.interval_s
        if await self._ready(life.instance, check):
            life.failures = 0
        elif life.failures is not None or self._has_had_its_time(life.instance, check):
            life.failures = (life.failures or 0) + 1
            if life.failures == check.retries:
                await self._publish(life.instance, publish)

    async def _check(self, life: _Life) -> HealthCheck | None:
        """Read once in its life: an instance of this name has no other."""
        if life.check is None:
            spec = await self._store.instances.spec(life.instance.name)
            if spec is None:
                self._lives.pop(life.instance.name, None)
            elif spec.health is None or spec.health.type == "none":
                life.due = inf
            else:
                life.check = spec.health
        return life.check

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
