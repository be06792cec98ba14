"""What must not stop a watch. Its activities are played: they fail, and are slow, when the test says so."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from activities.options import QUEUE, node_queue
from iarnet.models.change import ChangeRequest
from iarnet.models.instance import Instance
from iarnet.models.provider import ProviderEvent
from iarnet.models.work import Batch, HealthWatchState, Hold, Mend, Mended, Restarts
from tests.e2e import harness
from workers.catalogue import WORKFLOWS
from workers.sandbox import runner
from workflows.refusals import RunInterceptor

Play = Callable[[Mend], Awaitable[Mended]]
NODE = "here"


class World:
    """`mend` plays the restart of an instance. Activities named in `refusals` fail that often at first."""

    def __init__(self, mend: Play, **refusals: int) -> None:
        self._mend = mend
        self._refusals = refusals
        self.mended: list[str] = []
        self.told: list[str] = []
        self.given_up: list[str] = []
        self.changes: list[str] = []

    def _may_refuse(self, name: str) -> None:
        if self._refusals.get(name, 0):
            self._refusals[name] -= 1
            raise ApplicationError("no such thing", type="NotFound", non_retryable=True)

    @activity.defn
    async def home_of(self, provider_id: str) -> str:
        self._may_refuse("home_of")
        return NODE

    @activity.defn
    async def mend_instance(self, mend: Mend) -> Mended:
        self.mended.append(mend.instance)
        return await self._mend(mend)

    @activity.defn
    async def give_up(self, mend: Mend) -> None:
        self.given_up.append(mend.instance)
        self._may_refuse("give_up")

    @activity.defn
    async def start_change(self, request: ChangeRequest) -> bool:
        self.changes.append(request.cause)
        self._may_refuse("start_change")
        return True

    @activity.defn
    async def change_is_open(self, app: str, run_id: str) -> bool:
        return True


async def well(mend: Mend) -> Mended:
    return Mended(outcome="restarted")


@asynccontextmanager
async def watched(
    client: Client, world: World, restarts: tuple[Restarts, ...] = ()
) -> AsyncIterator[WorkflowHandle[Any, Any]]:
    named = (getattr(world, name) for name in dir(World))
    activities = [method for method in named if hasattr(method, "__temporal_activity_definition")]
    async with (
        Worker(
            client,
            task_queue=QUEUE,
            workflows=WORKFLOWS,
            activities=activities,
            workflow_runner=runner(),
            interceptors=[RunInterceptor()],
        ),
        Worker(client, task_queue=node_queue(NODE), activities=activities),
    ):
        handle: WorkflowHandle[Any, Any] = await client.start_workflow(
            "HealthWatch", HealthWatchState(app="shop", restarts=restarts), id="watch.shop", task_queue=QUEUE
        )
        try:
            yield handle
        finally:
            if (await handle.describe()).status == WorkflowExecutionStatus.RUNNING:
                await handle.signal("end")
            await asyncio.wait_for(handle.result(), 30)
        assert (await handle.describe()).status == WorkflowExecutionStatus.COMPLETED


def died(*components: str, status: Any = None) -> Batch:
    events = tuple(
        ProviderEvent(
            provider_id="memory",
            kind="died",
            instance=Instance(
                name=f"shop-{name}", app="shop", component=name, provider_id="memory", spec_hash="h", state="exited"
            ),
        )
        for name in components
    )
    return Batch(provider_id="memory", cursor=1, events=events, status=status)


async def until(condition: Callable[[], bool]) -> None:
    await asyncio.to_thread(harness.until, condition, "the watch has acted", 30)


async def test_a_restart_that_can_not_even_be_tried_is_tried_again(client: Client) -> None:
    tries: list[str] = []

    async def at_first_unreachable(mend: Mend) -> Mended:
        tries.append(mend.instance)
        if tries.count("shop-web") == 1 and mend.instance == "shop-web":
            raise ApplicationError("it does not answer", type="ProviderUnavailable", non_retryable=True)
        return Mended(outcome="restarted")

    world = World(at_first_unreachable)
    async with watched(client, world) as handle:
        await handle.signal("observed", died("web", "api"))
        await until(lambda: sorted(world.mended) == ["shop-api", "shop-web", "shop-web"])
        state: HealthWatchState = await handle.query("state", result_type=HealthWatchState)
        assert {r.instance: len(r.times) for r in state.restarts} == {"shop-web": 2, "shop-api": 1}


async def test_a_death_while_it_is_mended_is_looked_at_afterwards(client: Client) -> None:
    go = asyncio.Event()

    async def slow(mend: Mend) -> Mended:
        await go.wait()
        return Mended(outcome="restarted")

    world = World(slow)
    async with watched(client, world) as handle:
        await handle.signal("observed", died("web"))
        await until(lambda: world.mended == ["shop-web"])
        await handle.signal("observed", died("web"))
        await handle.signal("observed", died("web"))
        go.set()
        await until(lambda: world.mended == ["shop-web", "shop-web"])


async def test_a_change_holds_what_it_touches_and_nothing_else(client: Client) -> None:
    world = World(well)
    async with watched(client, world) as handle:
        await handle.signal("hold", Hold(run_id="r", components=("web",)))
        await handle.signal("observed", died("web", "api"))
        await until(lambda: world.mended == ["shop-api"])
        state: HealthWatchState = await handle.query("state", result_type=HealthWatchState)
        assert [e.instance.component for e in state.pending] == ["web"]
        await handle.signal("hold", Hold(run_id="r", release=True))
        await until(lambda: world.mended == ["shop-api", "shop-web"])


async def test_a_change_that_can_not_be_started_is_asked_for_again(client: Client) -> None:
    world = World(well, start_change=1)
    async with watched(client, world) as handle:
        await handle.signal("observed", died(status="unreachable"))
        await until(lambda: world.changes == ["migrate"])
        await handle.signal("observed", died("web"))
        await until(lambda: world.mended == ["shop-web"])
        assert world.changes == ["migrate"], "after a pause"
        await until(lambda: world.changes == ["migrate", "migrate"])


async def test_a_restart_that_nobody_can_be_found_for_counts(client: Client) -> None:
    world = World(well, home_of=1)
    async with watched(client, world) as handle:
        await handle.signal("observed", died("web"))
        await until(lambda: world.mended == ["shop-web"])
        state: HealthWatchState = await handle.query("state", result_type=HealthWatchState)
        assert [len(r.times) for r in state.restarts] == [2]


async def test_giving_up_is_told_when_it_can_be(client: Client) -> None:
    world = World(well, give_up=1)
    spent = Restarts(instance="shop-web", times=(time.time(),) * 5)
    async with watched(client, world, (spent,)) as handle:
        for count in (1, 2):
            await handle.signal("observed", died("web"))
            await until(lambda count=count: len(world.given_up) == count)  # type: ignore[misc]
        await handle.signal("observed", died("web", "api"))
        await until(lambda: world.mended == ["shop-api"])
    assert len(world.given_up) == 2


class Stubborn:
    """Mending `old` takes no notice of its cancellation until `go`, and ends like that; all others are well."""

    def __init__(self, outcome: Any) -> None:
        self._outcome = outcome
        self.heard, self.go = asyncio.Event(), asyncio.Event()

    async def __call__(self, mend: Mend) -> Mended:
        if mend.component != "old":
            return Mended(outcome="restarted")
        try:
            while True:
                activity.heartbeat()
                await asyncio.sleep(0.1)
        except asyncio.CancelledError:
            self.heard.set()
            await self.go.wait()
            return Mended(outcome=self._outcome)


@pytest.mark.parametrize("outcome", ["restarted", "failed", "gone"])
async def test_a_change_that_begins_while_it_ends_is_watched(client: Client, outcome: Any) -> None:
    stubborn = Stubborn(outcome)
    world = World(stubborn)
    async with watched(client, world) as handle:
        await handle.signal("hold", Hold(run_id="stop", components=("db",)))
        await handle.signal("observed", died("old", "db"))
        await until(lambda: world.mended == ["shop-old"])
        await handle.signal("end")
        await asyncio.wait_for(stubborn.heard.wait(), 30)
        await handle.signal("hold", Hold(run_id="deploy", components=("old", "web")))
        await handle.signal("observed", died("web", "api"))
        stubborn.go.set()
        await until(lambda: world.mended == ["shop-old", "shop-api"])
        state: HealthWatchState = await handle.query("state", result_type=HealthWatchState)
        assert [hold.run_id for hold in state.holds] == ["deploy"]
        assert [e.instance.name for e in state.pending] == ["shop-web"]
        assert [r.instance for r in state.restarts] == ["shop-api"]
        await handle.signal("hold", Hold(run_id="deploy", release=True))
        await until(lambda: world.mended == ["shop-old", "shop-api", "shop-web"])
    assert world.changes == []


async def test_a_change_that_begins_while_it_ends_may_be_undone(client: Client) -> None:
    stubborn = Stubborn("failed")
    world = World(stubborn)
    async with watched(client, world) as handle:
        await handle.signal("observed", died("old"))
        await until(lambda: world.mended == ["shop-old"])
        await handle.signal("end")
        await asyncio.wait_for(stubborn.heard.wait(), 30)
        await handle.signal("hold", Hold(run_id="deploy", components=("web",)))
        await handle.signal("end")
        stubborn.go.set()
        await asyncio.wait_for(handle.result(), 30)


async def test_it_ends_while_it_mends(client: Client) -> None:
    async def never(mend: Mend) -> Mended:
        while True:
            activity.heartbeat()
            await asyncio.sleep(0.1)

    world = World(never)
    async with watched(client, world) as handle:
        await handle.signal("observed", died("web", "api"))
        await until(lambda: len(world.mended) == 2)
    assert world.given_up == []
