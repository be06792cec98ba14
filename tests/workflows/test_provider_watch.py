"""Where a provider is followed, and for how long. Whoever follows it is played."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.worker import Worker

from activities.failures import FailureInterceptor
from activities.heartbeat import heartbeating
from activities.options import QUEUE, watches_queue
from iarnet.models.provider import ProviderInfo
from iarnet.models.work import Attach, Batch, ProviderWatchState
from iarnet.secrets.sealed import MemoryRows, SealedSecrets
from tests.e2e import harness
from workers.catalogue import WORKFLOWS
from workers.sandbox import runner
from workers.sweep import watch_provider


class Node:
    """Follows until it is told to stop, after as many `mistakes`. Told so, it stops once it `may_stop`."""

    def __init__(self, name: str, mistakes: int = 0) -> None:
        self.name = name
        self.followed: list[Attach] = []
        self.told = False
        self.may_stop = asyncio.Event()
        self.may_stop.set()
        self._mistakes = mistakes

    @activity.defn
    async def follow_provider(self, attach: Attach) -> None:
        self.followed.append(attach)
        if len(self.followed) <= self._mistakes:
            raise RuntimeError("a mistake of ours")
        async with heartbeating():
            try:
                await asyncio.Event().wait()
            finally:
                self.told = True
                await self.may_stop.wait()


@activity.defn
async def apps_on(provider_id: str) -> list[str]:
    return []


@asynccontextmanager
async def working(client: Client, *nodes: Node) -> AsyncIterator[None]:
    failures = FailureInterceptor(SealedSecrets(MemoryRows(), b"k" * 32))
    workers = [
        Worker(client, task_queue=QUEUE, workflows=WORKFLOWS, activities=[apps_on], workflow_runner=runner()),
        *(
            Worker(
                client,
                task_queue=watches_queue(node.name),
                activities=[node.follow_provider],
                interceptors=[failures],
            )
            for node in nodes
        ),
    ]
    tasks = [asyncio.create_task(worker.run()) for worker in workers]
    try:
        yield
    finally:
        await asyncio.gather(*(worker.shutdown() for worker in workers))
        await asyncio.gather(*tasks)


async def attached(client: Client, home: str, *, added: bool = False) -> WorkflowHandle[Any, Any]:
    """As a node of that name attaches it."""
    await watch_provider(client, ProviderInfo(id="one", name="One", type="memory", home=home), added=added)
    return client.get_workflow_handle("provider.one")


async def state(watch: WorkflowHandle[Any, Any]) -> ProviderWatchState:
    found: ProviderWatchState = await watch.query("state", result_type=ProviderWatchState)
    return found


async def end(watch: WorkflowHandle[Any, Any]) -> None:
    assert (await watch.describe()).status == WorkflowExecutionStatus.RUNNING
    await watch.signal("end")
    await asyncio.wait_for(watch.result(), 30)


async def until(condition: Callable[[], bool]) -> None:
    await asyncio.to_thread(harness.until, condition, "the provider is followed there", 30)


async def test_a_node_under_another_name_hears_its_provider_again(client: Client) -> None:
    """Nobody polls the queue of the former name any more."""
    node = Node("new")
    async with working(client, node):
        watch = await attached(client, "old")
        await state(watch)
        await attached(client, "new")
        await until(lambda: len(node.followed) == 1)
        assert (await state(watch)).home == "new"
        await attached(client, "new")
        await end(watch)
    assert len(node.followed) == 1


async def test_a_watch_that_knows_its_node_is_not_woken_at_each_start(client: Client) -> None:
    node = Node("here")
    async with working(client, node):
        watch = await attached(client, "here")
        await until(lambda: len(node.followed) == 1)
        before = (await watch.describe()).history_length
        await attached(client, "here")
        assert (await watch.describe()).history_length == before
        await end(watch)


async def test_where_it_was_followed_it_is_no_more_and_what_was_heard_is_known(client: Client) -> None:
    old, new = Node("old"), Node("new")
    async with working(client, old, new):
        watch = await attached(client, "old")
        await until(lambda: len(old.followed) == 1)
        await watch.signal("observed", Batch(provider_id="one", cursor=5, status="unreachable"))
        await attached(client, "new")
        await until(lambda: old.told and len(new.followed) == 1)
        assert new.followed[0].cursor == 5
        assert (await state(watch)).status == "unreachable"
        await end(watch)


async def test_one_that_is_attached_again_as_its_watch_ends_is_watched(client: Client) -> None:
    node = Node("here")
    node.may_stop.clear()
    async with working(client, node):
        watch = await attached(client, "here")
        await until(lambda: len(node.followed) == 1)
        await watch.signal("end")
        await until(lambda: node.told)
        await attached(client, "here", added=True)
        node.may_stop.set()
        await until(lambda: len(node.followed) == 2)
        await end(watch)


async def test_one_that_was_removed_and_attached_unheard_is_watched(client: Client) -> None:
    node = Node("here")
    watch = await attached(client, "here")
    await watch.signal("end")
    await attached(client, "here", added=True)
    async with working(client, node):
        await until(lambda: bool(node.followed))
        await end(watch)


async def test_no_number_of_errors_ends_a_watch(client: Client) -> None:
    node = Node("here", mistakes=4)
    async with working(client, node):
        watch = await attached(client, "here")
        await until(lambda: len(node.followed) == 5)
        await end(watch)
