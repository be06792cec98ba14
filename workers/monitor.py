"""The node's watcher of one provider: events, readiness, capacity, reachability.

It is a service of the process, not a workflow: what it sees costs history only when something has changed.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager

import structlog

from iarnet.errors import IarnetError
from iarnet.gateway.base import Gateway
from iarnet.models.instance import Instance
from iarnet.models.provider import EventKind, ProviderEvent, ProviderHealth, ProviderState, ProviderStatus
from iarnet.models.resources import Capacity, Resources
from iarnet.models.work import Batch
from iarnet.providers.base import Provider
from iarnet.store.base import Clock, Store
from workers.addresses import Addresses
from workers.hanging import HangDetector

_CAPACITY_S = 10.0
# For each instance there is: an engine is asked for one after the other what it uses.
_CAPACITY_EACH_S = 0.25
_RECONNECT_S = 2.0
_GRACE_S = 15.0
_KEPT = 1000
# Events in a signal: a tenth of what one may carry.
_TOGETHER = 200
_HAS_RUN = ("running", "exited", "lost", "removed")

log = structlog.get_logger()


class ProviderMonitor:
    """`cap` cuts what is there down to what applications may have of it; `gateway` leads traffic to what runs."""

    def __init__(
        self,
        provider: Provider,
        store: Store,
        owner: str,
        clock: Clock,
        cap: Callable[[Resources], Resources],
        gateway: Gateway,
    ) -> None:
        self.provider = provider
        self._store = store
        self._owner = owner
        self._clock = clock
        self._cap = cap
        self._gateway = gateway
        self._hanging = HangDetector(provider, store, gateway, clock)
        self._addresses = Addresses(provider, store.traffic)
        # Cursors go on rising over restarts of the process, so that a workflow can tell new from known.
        self._cursor = time.time_ns() // 1_000_000
        self._batches: deque[Batch] = deque(maxlen=_KEPT)
        self._news = asyncio.Condition()
        self._status: ProviderStatus | None = None
        self._capacity = Capacity(total=Resources(), used=Resources(), available=Resources())
        self._ours = Resources()
        self._measure_at = 0.0
        self._handled: dict[str, list[ProviderEvent]] = {}
        self._closed = False

    async def run(self) -> None:
        """Until closed and cancelled: whatever goes wrong, the store's absence and mistakes of ours included."""
        lost = False
        while not self._closed:  # a group of tasks that fails as it is cancelled forgets that it was
            try:
                await (self._lost() if lost else self._watch())
                lost = False
            except* IarnetError as errors:
                problem = str(errors.exceptions[0])
                log.warning("provider lost", provider=self.provider.info.id, problem=problem)
                lost = True
            except* Exception:
                log.exception("provider lost", provider=self.provider.info.id)
                lost = True
            if lost:
                await asyncio.sleep(_RECONNECT_S)

    async def aclose(self) -> None:
        """Nothing more is heard of it, and `run` need only be cancelled."""
        async with self._news:
            self._closed = True
            self._news.notify_all()

    async def begin(self) -> None:
        """So that it can be placed on. Its figures of before will do for now: to measure what runs there takes a
        second, and what a former process was doing waits for this one."""
        states = await self._store.providers.states()
        known = next((s for s in states if s.info.id == self.provider.info.id), None)
        if known and known.status == "active":
            self._capacity, self._ours = known.capacity, known.ours
            await self._seen(await self.provider.check())
        else:
            await self.measure()

    async def measure(self) -> None:
        """Reachability and capacity, now, into the store."""
        health = await self.provider.check()
        if health.reachable:
            await self._measure_capacity()
        await self._seen(health)

    async def follow(self, cursor: int) -> AsyncIterator[Batch]:
        """Batches after `cursor`, and then as they come, until closed: what has piled up while the last was told as
        one."""
        while True:
            async with self._news:
                while not (fresh := [batch for batch in self._batches if batch.cursor > cursor]):
                    if self._closed:
                        return
                    await self._news.wait()
            cursor = fresh[-1].cursor
            for batch in joined(fresh):
                yield batch

    @asynccontextmanager
    async def handling(self, instance: str, expected: Collection[EventKind]) -> AsyncIterator[None]:
        """A change is at this one: what happens to it meanwhile is told when the block ends, but for what is expected
        if it ends well. That the change records itself, and nobody has to do anything about it."""
        kept = self._handled.setdefault(instance, [])
        dropped: Collection[EventKind] = ()
        try:
            yield
            dropped = expected
        finally:
            self._handled.pop(instance, None)
            for event in news_among(kept, dropped):
                await self._tell(event)

    async def _watch(self) -> None:
        """What was missed first, then everything as it happens. Raises when the provider can't be reached."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._hear())
            await self.measure()
            await self._catch_up()
            if self._status != "active":
                self._status = "active"
                await self._publish(status="active")
            group.create_task(self._hanging.run(self._found))
            group.create_task(self._measure_for_ever())

    async def _hear(self) -> None:
        async for event in self.provider.events(self._owner):
            if event.instance.name in self._handled:
                self._handled[event.instance.name].append(event)
                self._hanging.hear(event.instance)
            else:
                await self._tell(event)

    async def _tell(self, event: ProviderEvent) -> None:
        await self._redirect(event)
        if event.kind in ("died", "oom", "removed", "started"):
            await self._record(event.instance)
            self._hanging.hear(event.instance)
        if event.kind != "started":
            await self._publish_event(event)

    async def _catch_up(self) -> None:
        """What does not run and should: what ended while nobody looked, and what could not be mended before."""
        there = {i.name: i for i in await self.provider.instances(self._owner)}
        for row in await self._store.instances.list(provider_id=self.provider.info.id):
            now = there.get(row.name)
            if row.state in _HAS_RUN and (now is None or now.state != "running"):
                gone = row.model_copy(update={"state": "lost"})
                await self._record(now or gone)
                kind = "died" if now else "removed"
                await self._publish_event(
                    ProviderEvent(provider_id=self.provider.info.id, kind=kind, instance=now or gone)
                )

    async def _measure_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_CAPACITY_S)
            if self._measure_at <= time.monotonic():
                await self.measure()
            else:
                await self._seen(await self.provider.check())
            await self._addresses.keep()

    async def _measure_capacity(self) -> None:
        """What is used in all, and by us, together: as a difference the two say what others use."""
        measured = await self.provider.capacity()
        usage = await self.provider.usage(self._owner)
        self._ours = Resources(
            cpu_millis=sum(u.cpu_millis for u in usage), memory_bytes=sum(u.memory_bytes for u in usage)
        )
        total = self._cap(measured.total)
        self._capacity = Capacity(total=total, used=measured.used, available=total.minus(measured.used))
        self._measure_at = time.monotonic() + _CAPACITY_EACH_S * len(usage)

    async def _lost(self) -> None:
        """A provider that is away for a moment is not lost: only after a grace period the watches are told."""
        deadline = time.monotonic() + _GRACE_S
        while True:
            health = await self.provider.check()
            if health.reachable:
                return
            if time.monotonic() > deadline and self._status != "unreachable":
                await self._save("unreachable", health)
                self._status = "unreachable"
                await self._publish(status="unreachable")
            await asyncio.sleep(_RECONNECT_S)

    async def _seen(self, health: ProviderHealth) -> None:
        await self._save("active" if health.reachable else "unreachable", health)

    async def _save(self, status: ProviderStatus, health: ProviderHealth) -> None:
        await self._store.providers.save_state(
            ProviderState(
                info=self.provider.info,
                status=status,
                capacity=self._capacity,
                ours=self._ours,
                health=health,
                seen_at=self._clock(),
            )
        )

    async def _record(self, instance: Instance) -> None:
        """A row that a change has removed meanwhile stays removed."""
        await self._store.instances.record(instance)

    async def _found(self, event: ProviderEvent) -> None:
        await self._redirect(event)
        await self._publish_event(event)

    async def _redirect(self, event: ProviderEvent) -> None:
        """Users are led away from what does not answer before anybody mends it."""
        if event.kind in ("started", "healthy"):
            return
        try:
            await self._gateway.suspend(event.instance.name)
        except IarnetError as error:
            log.warning("traffic could not be redirected", instance=event.instance.name, problem=error.message)

    async def _publish_event(self, event: ProviderEvent) -> None:
        await self._publish(event)

    async def _publish(self, *events: ProviderEvent, status: ProviderStatus | None = None) -> None:
        async with self._news:
            self._cursor += 1
            told = status if status != "draining" else None
            self._batches.append(
                Batch(provider_id=self.provider.info.id, cursor=self._cursor, events=events, status=told)
            )
            self._news.notify_all()


def news_among(events: Sequence[ProviderEvent], expected: Collection[EventKind]) -> list[ProviderEvent]:
    """All but the expected. Where a start is expected, that is what led to the last one: what became of the instance
    afterwards is its own doing."""
    starts = [n for n, event in enumerate(events, 1) if event.kind == "started"]
    caused = starts[-1] if starts and "started" in expected else len(events)
    return [event for n, event in enumerate(events) if n >= caused or event.kind not in expected]


def joined(batches: Sequence[Batch]) -> list[Batch]:
    """The same news in fewer batches. Each costs a signal and two tasks of workflows. What becomes of the provider
    itself stays in its place among them."""
    made: list[Batch] = []
    for batch in batches:
        before = made[-1] if made else None
        if before and not (before.status or batch.status) and len(before.events) < _TOGETHER:
            made[-1] = batch.model_copy(update={"events": before.events + batch.events})
        else:
            made.append(batch)
    return made
