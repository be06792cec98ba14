"""Workers of two versions side by side, on a real Temporal: what began on the old one ends there."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle

from activities.options import QUEUE
from iarnet.models.change import ChangeRequest
from iarnet.models.source import GitSource
from iarnet.models.work import HealthWatchState
from iarnet.secrets.sealed import MemoryRows, SealedSecrets
from tests.workflows.test_change import NODE, World
from workers import versions
from workers.converter import CONVERTER
from workers.pools import Activities, serving, workers


async def test_a_new_version_takes_over_while_old_runs_end_on_the_old_one(alone: Client, tmp_path: Path) -> None:
    old, new = World(held="finish"), World()
    secrets = SealedSecrets.open(MemoryRows(), tmp_path / "key")
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(at_work(alone, old, "1.9", secrets))
        assert await versions.take_over(alone, "1.9")
        began = await started(alone, "began")
        watch = await alone.start_workflow("HealthWatch", HealthWatchState(app="w"), id="watch.w", task_queue=QUEUE)
        await old.reached.wait()
        await watch.query("state")

        await stack.enter_async_context(at_work(alone, new, "1.10", secrets))
        assert await versions.take_over(alone, "1.10")
        assert not await versions.take_over(alone, "1.9"), "an old one that starts again takes nothing back"
        fresh = await started(alone, "fresh")
        await fresh.result()
        await watch.signal("end")
        await watch.result()
        old.go.set()
        await began.result()
        assert await builds(began) == {"1.9"}
        assert await builds(fresh) == {"1.10"}
        assert await builds(watch) == {"1.9", "1.10"}, "it never ends by itself, and moves on"


@asynccontextmanager
async def at_work(client: Client, world: World, build: str, secrets: SealedSecrets) -> AsyncIterator[None]:
    """Both are of one node: what only it can do, either does."""
    every = world.all()
    own = Activities(anywhere=every, here=[], watches=every, builds=every)
    # As in a process of its own: one client has one worker of a queue.
    own_client = await Client.connect(
        client.service_client.config.target_host, namespace=client.namespace, data_converter=CONVERTER
    )
    async with serving(workers(own_client, NODE, own, secrets, build)):
        yield


async def started(client: Client, app: str) -> WorkflowHandle[Any, Any]:
    change = ChangeRequest(app=app, git=GitSource(url="https://example.org/shop.git"))
    return await client.start_workflow("DeployApp", change, id=f"change.{app}", task_queue=QUEUE)


async def builds(handle: WorkflowHandle[Any, Any]) -> set[str]:
    """Whose workers have decided in the run."""
    return {
        event.workflow_task_completed_event_attributes.deployment_version.build_id
        async for event in handle.fetch_history_events()
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    }
