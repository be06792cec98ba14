"""A provider can be placed on at once: measured when it is new, with its figures of before when it isn't. And what is
told of it."""

import asyncio
from collections.abc import Collection, Sequence
from typing import Any, Literal

import pytest

from activities.caused import BY_DEPLOYING, BY_REMOVING, BY_RESTARTING
from iarnet.errors import StoreUnavailable
from iarnet.gateway.direct import Direct
from iarnet.models.instance import Instance
from iarnet.models.provider import EventKind, ProviderEvent
from iarnet.models.resources import Resources
from iarnet.models.work import Batch
from iarnet.providers.memory import MemoryProvider
from iarnet.store.sql import SqlStore
from tests.contract.store.values import spec
from tests.unit.workers.conftest import clock
from workers.monitor import ProviderMonitor, joined, news_among

BEFORE, NOW = Resources(cpu_millis=1000, memory_bytes=2**30), Resources(cpu_millis=2000, memory_bytes=2**31)


def monitor(store: SqlStore, provider: MemoryProvider) -> ProviderMonitor:
    return ProviderMonitor(provider, store, "here", clock, lambda total: total, Direct())


async def known(store: SqlStore) -> tuple[str, Resources]:
    state = (await store.providers.states())[0]
    return state.status, state.capacity.total


async def test_a_new_one_is_measured(store: SqlStore) -> None:
    await monitor(store, MemoryProvider("one", total=BEFORE)).begin()
    assert await known(store) == ("active", BEFORE)


async def test_one_that_was_there_has_its_figures_of_before_until_it_is_measured(store: SqlStore) -> None:
    await monitor(store, MemoryProvider("one", total=BEFORE)).begin()
    after = monitor(store, MemoryProvider("one", total=NOW))
    await after.begin()
    assert await known(store) == ("active", BEFORE)
    await after.measure()
    assert await known(store) == ("active", NOW)


async def test_one_that_was_away_is_measured(store: SqlStore) -> None:
    away = MemoryProvider("one", total=BEFORE)
    away.reachable = False
    await monitor(store, away).begin()
    assert (await known(store))[0] == "unreachable"
    await monitor(store, MemoryProvider("one", total=NOW)).begin()
    assert await known(store) == ("active", NOW)


async def test_one_that_is_gone_since_is_not_placed_on(store: SqlStore) -> None:
    provider = MemoryProvider("one", total=BEFORE)
    await monitor(store, provider).begin()
    provider.reachable = False
    await monitor(store, provider).begin()
    assert (await known(store))[0] == "unreachable"


async def test_what_a_change_does_to_an_instance_is_no_news_unless_it_fails(store: SqlStore) -> None:
    provider = MemoryProvider("one")
    watching = monitor(store, provider)
    running = asyncio.create_task(watching.run())
    news = watching.follow(0)
    assert (await anext(news)).status == "active"
    names = ("removed", "failing", "other", "another")
    for name in names:
        await provider.deploy(spec(name=name, owner="here", ports=()))

    async def told() -> list[str]:
        return [event.instance.name for event in (await anext(news)).events]

    async with watching.handling("removed", ("died", "removed")):
        await provider.remove("removed", 1)
        provider.end("other")
        assert await told() == ["other"]

    async def fail() -> None:
        async with watching.handling("failing", ("died", "removed")):
            provider.end("failing")
            provider.end("another")
            assert await told() == ["another"]
            raise ValueError("half-way")

    with pytest.raises(ValueError, match="half-way"):
        await fail()
    assert await told() == ["failing"]
    running.cancel()


async def test_what_becomes_of_an_instance_after_a_restart_is_told(store: SqlStore) -> None:
    provider = MemoryProvider("one")
    watching = monitor(store, provider)
    running = asyncio.create_task(watching.run())
    news = watching.follow(0)
    assert (await anext(news)).status == "active"
    for name in ("web", "other"):
        await provider.deploy(spec(name=name, owner="here", ports=()))

    async def heard() -> None:
        """As far as here: news come in their order."""
        provider.end("other")
        assert [event.instance.name for event in (await anext(news)).events] == ["other"]

    async with watching.handling("web", ("died", "started")):
        await provider.restart("web")
        provider.end("web")
        await heard()
    assert [(e.kind, e.instance.name) for e in (await anext(news)).events] == [("died", "web")]
    running.cancel()


def happened(*kinds: EventKind) -> list[ProviderEvent]:
    return [event.model_copy(update={"kind": kind}) for kind in kinds for event in batch(1, "a").events]


@pytest.mark.parametrize(
    ("expected", "events", "told"),
    [
        (BY_RESTARTING, ["died", "started"], []),
        (BY_RESTARTING, ["died"], []),
        (BY_RESTARTING, ["died", "started", "died"], ["died"]),
        (BY_RESTARTING, ["died", "started", "oom", "died"], ["oom", "died"]),
        (BY_DEPLOYING, ["started", "died"], ["died"]),
        (BY_REMOVING, ["died", "removed"], []),
        (BY_REMOVING, ["started", "died", "removed"], ["started"]),
        ((), ["died", "started", "died"], ["died", "started", "died"]),
    ],
)
def test_what_one_has_caused_oneself_is_no_news(
    expected: Collection[EventKind], events: Sequence[EventKind], told: Sequence[EventKind]
) -> None:
    assert [event.kind for event in news_among(happened(*events), expected)] == told


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.monitor._RECONNECT_S", 0.01)
    monkeypatch.setattr("workers.monitor._GRACE_S", 0.0)


class Away:
    """What one asks for is not there."""

    def __init__(self, error: Exception) -> None:
        self.asked = asyncio.Event()
        self.times = 0
        self._error = error

    async def __call__(self, *given: object) -> Any:
        self.times += 1
        self.asked.set()
        raise self._error


@pytest.mark.usefixtures("at_once")
async def test_one_that_is_away_together_with_the_store_is_heard_again(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, away = MemoryProvider("one"), Away(StoreUnavailable("no answer"))
    watching = monitor(store, provider)
    running = asyncio.create_task(watching.run())
    news = watching.follow(0)
    assert (await anext(news)).status == "active"
    with monkeypatch.context() as patch:
        patch.setattr(store.providers, "save_state", away)
        provider.disconnect()
        await asyncio.wait_for(away.asked.wait(), 10)
    assert (await asyncio.wait_for(anext(news), 10)).status == "unreachable"
    assert (await known(store))[0] == "unreachable"
    provider.reconnect()
    assert (await asyncio.wait_for(anext(news), 10)).status == "active"
    running.cancel()


@pytest.mark.usefixtures("at_once")
async def test_a_mistake_does_not_end_it(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    provider, mistake = MemoryProvider("one"), Away(ValueError("a mistake"))
    watching = monitor(store, provider)
    with monkeypatch.context() as patch:
        patch.setattr(provider, "instances", mistake)
        running = asyncio.create_task(watching.run())
        await asyncio.wait_for(mistake.asked.wait(), 10)
    assert (await asyncio.wait_for(anext(watching.follow(0)), 10)).status == "active"
    running.cancel()


async def test_while_the_store_is_away_it_pauses(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    away = Away(StoreUnavailable("no answer"))
    monkeypatch.setattr(store.providers, "save_state", away)
    running = asyncio.create_task(monitor(store, MemoryProvider("one")).run())
    await asyncio.wait_for(away.asked.wait(), 10)
    for _ in range(1000):
        await asyncio.sleep(0)
    assert away.times == 1
    running.cancel()


def batch(cursor: int, *names: str, status: Literal["active", "unreachable"] | None = None) -> Batch:
    gone = [Instance(name=n, app="shop", component=n, provider_id="one", spec_hash="", state="exited") for n in names]
    events = tuple(ProviderEvent(provider_id="one", kind="died", instance=instance) for instance in gone)
    return Batch(provider_id="one", cursor=cursor, events=events, status=status)


def test_news_that_have_piled_up_are_told_together_in_their_order() -> None:
    (told,) = joined([batch(1, "a"), batch(2, "b"), batch(3, "a")])
    assert told == batch(3, "a", "b", "a")


def test_what_becomes_of_the_provider_keeps_its_place_among_the_news() -> None:
    news = [batch(1, "a"), batch(2, status="unreachable"), batch(3, "b"), batch(4, status="active")]
    assert joined(news) == news


def test_no_signal_carries_more_than_it_can() -> None:
    told = joined([batch(n, f"i{n}") for n in range(1000)])
    assert [event.instance.name for each in told for event in each.events] == [f"i{n}" for n in range(1000)]
    assert max(len(each.model_dump_json()) for each in told) < 200_000
