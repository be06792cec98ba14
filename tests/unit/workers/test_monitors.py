"""The monitors of a node come and go with its providers; who follows one need not know."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import pytest
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from activities.watching import Watching
from iarnet.errors import NotFound
from iarnet.gateway.direct import Direct
from iarnet.models.work import Attach, Batch
from iarnet.providers.memory import MemoryProvider
from iarnet.providers.registry import ProviderRegistry
from iarnet.secrets.sealed import MemoryRows, SealedSecrets
from iarnet.store.sql import SqlStore
from tests.unit.workers.conftest import clock
from workers.gateways import NodeGateways
from workers.monitor import ProviderMonitor
from workers.monitors import NodeMonitors


class Told:
    """Stands for Temporal's client, and for the run that is told."""

    def __init__(self) -> None:
        self.batches: asyncio.Queue[Batch] = asyncio.Queue()

    def get_workflow_handle(self, id: str) -> "Told":
        return self

    async def signal(self, name: str, batch: Batch) -> None:
        await self.batches.put(batch)

    async def start_workflow(self, *given: Any, **values: Any) -> None: ...


@pytest.fixture
async def monitors(store: SqlStore) -> AsyncIterator[NodeMonitors]:
    made = NodeMonitors(lambda p: ProviderMonitor(p, store, "here", clock, lambda total: total, Direct()))
    yield made
    await made.aclose()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def follow(store: SqlStore, monitors: NodeMonitors, told: Told) -> Callable[[str], asyncio.Task[None]]:
    secrets = SealedSecrets(MemoryRows(), b"k" * 32)
    providers = ProviderRegistry(node="here", owner="here", secrets=secrets)
    gateways = NodeGateways(Direct())
    watching = Watching(store, providers, monitors, gateways, cast(Client, told), secrets, clock)

    def begin(provider_id: str) -> asyncio.Task[None]:
        attach = Attach(provider_id=provider_id, session="s")
        return asyncio.create_task(ActivityEnvironment().run(watching.follow_provider, attach))

    return begin


async def test_one_that_nobody_has_attached_can_not_be_followed(follow: Callable[[str], asyncio.Task[None]]) -> None:
    with pytest.raises(NotFound, match="does not watch nowhere"):
        await follow("nowhere")


async def test_one_is_followed_from_when_it_is_attached_and_when_it_is_again(
    monitors: NodeMonitors, told: Told, follow: Callable[[str], asyncio.Task[None]]
) -> None:
    await monitors.add(MemoryProvider("one"))
    await monitors.remove("one")
    following = follow("one")
    cursors = []
    for _ in range(2):
        await monitors.add(MemoryProvider("one"))
        batch = await asyncio.wait_for(told.batches.get(), 10)
        assert batch.status == "active"
        cursors.append(batch.cursor)
        await monitors.remove("one")
    assert cursors == sorted(set(cursors))
    assert not following.done()
    following.cancel()
