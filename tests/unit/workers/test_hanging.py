"""Who is asked whether it still answers, and what is told of it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from iarnet.errors import GatewayUnavailable
from iarnet.gateway.direct import Direct
from iarnet.models.component import HealthCheck
from iarnet.models.instance import Instance, InstanceSpec
from iarnet.models.provider import ProviderEvent
from iarnet.models.source import GitSource
from iarnet.providers.memory import MemoryProvider
from iarnet.store.open import open_store
from iarnet.store.sql import SqlStore
from tests.contract.provider_worlds import MemoryWorld, spec_of
from workers.hanging import HangDetector

CHECK = HealthCheck(type="tcp", interval_s=0.01, retries=2)
WITHIN_S = 10.0


class Watching(Direct):
    """Says of instances what it is told to."""

    def __init__(self) -> None:
        self.seen: dict[str, bool] = {}
        self.down = False
        self.asked: asyncio.Queue[None] = asyncio.Queue()

    async def checks(self) -> dict[str, bool]:
        self.asked.put_nowait(None)
        if self.down:
            raise GatewayUnavailable("It is away.")
        return dict(self.seen)


class Case:
    """Two instances, `one` and `two`, room for a third, and what is told of them."""

    def __init__(self, world: MemoryWorld, store: SqlStore) -> None:
        self.store = store
        self.gateway = Watching()
        self.provider = MemoryProvider(faults=self._count)
        names = ("one", "two", "three")
        self.one, self.two, self.three = (spec_of(world, component=name, health=CHECK) for name in names)
        self.probes: Counter[str] = Counter()
        self.told: list[str] = []
        self.detector = HangDetector(self.provider, store, self.gateway, lambda: datetime.now(UTC))

    async def deployed(self, spec: InstanceSpec) -> Instance:
        await self.store.instances.intend(spec, self.provider.info.id)
        instance = await self.provider.deploy(spec)
        await self.store.instances.record(instance)
        return instance

    async def publish(self, event: ProviderEvent) -> None:
        assert event.kind == "unhealthy"
        self.told.append(event.instance.name)

    async def rounds(self, count: int = 5) -> None:
        """As many begin from now on."""
        while not self.gateway.asked.empty():
            self.gateway.asked.get_nowait()
        async with asyncio.timeout(WITHIN_S):
            for _ in range(count):
                await self.gateway.asked.get()

    def _count(self, operation: str, name: str) -> None:
        if operation == "probe":
            self.probes[name] += 1


@pytest.fixture
def reread_s() -> float:
    return 3600.0


@pytest.fixture
async def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reread_s: float) -> AsyncIterator[Case]:
    monkeypatch.setattr("workers.hanging._ROUND_S", 0.02)
    monkeypatch.setattr("workers.hanging._REREAD_S", reread_s)
    store = await open_store(f"sqlite:///{tmp_path}/iarnet.db", lambda: datetime.now(UTC))
    await store.apps.create("app", GitSource(url="https://example.org/app.git"))
    made = Case(MemoryWorld("node", "app"), store)
    for spec in (made.one, made.two):
        await made.deployed(spec)
    running = asyncio.create_task(made.detector.run(made.publish))
    yield made
    running.cancel()
    await asyncio.wait([running])
    await store.aclose()


async def test_what_the_gateway_checks_is_not_asked_again(case: Case) -> None:
    case.gateway.seen = {case.one.name: True}
    await case.rounds(1)
    case.probes.clear()
    await case.rounds()
    assert case.probes[case.one.name] == 0
    assert case.probes[case.two.name] > 0
    assert case.told == []


async def test_what_the_gateway_finds_silent_is_told_once_each_time(case: Case) -> None:
    for _ in range(2):
        case.gateway.seen = {case.one.name: False, case.two.name: True}
        await case.rounds()
        case.gateway.seen = {case.one.name: True, case.two.name: True}
        await case.rounds()
    assert case.told == [case.one.name, case.one.name]


async def test_without_its_word_everything_is_asked(case: Case) -> None:
    await case.rounds()
    case.gateway.down = True
    case.provider.break_readiness(case.two.name)
    async with asyncio.timeout(WITHIN_S):
        while not case.told:
            await case.rounds(1)
    assert case.told == [case.two.name]
    assert case.probes[case.one.name] > 0


async def test_what_has_started_is_asked_as_soon_as_it_is_heard_of_until_its_end(case: Case) -> None:
    await case.rounds()
    started = await case.deployed(case.three)
    await case.rounds()
    assert case.probes[case.three.name] == 0, "it was read again"
    case.detector.hear(started)
    await case.rounds()
    assert case.probes[case.three.name] > 0
    case.detector.hear(started.model_copy(update={"state": "exited"}))
    await case.rounds(1)
    case.probes.clear()
    await case.rounds()
    assert case.probes[case.three.name] == 0
    assert case.probes[case.one.name] > 0


@pytest.mark.parametrize("reread_s", [0.0])
async def test_what_nobody_heard_of_is_found_in_the_store(case: Case) -> None:
    """An instance that ran before anybody listened, and was adopted."""
    await case.deployed(case.three)
    async with asyncio.timeout(WITHIN_S):
        while not case.probes[case.three.name]:
            await case.rounds(1)
