"""What a node that was killed has left in Temporal: activities that wait for a heartbeat that will not come."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import structlog
from temporalio.client import Client, WorkflowExecution
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from activities.options import QUEUE

_AT_ONCE = 20
# Not the retry policy's pause, which grows with every restart of the node.
_PAUSE = timedelta(milliseconds=10)

log = structlog.get_logger()


async def running(client: Client) -> list[WorkflowExecution]:
    """All of our runs: whichever node has set the attribute of one, its activities may be held here."""
    return [run async for run in client.list_workflows(f'ExecutionStatus = "Running" AND TaskQueue = "{QUEUE}"')]


async def release(client: Client, node: str, identity: str, runs: Sequence[WorkflowExecution]) -> int:
    """Fail the activities of these runs that a former process of this node holds, so that they are retried now and
    not after their heartbeat timeout; how many. `identity` is this process's own."""
    room = asyncio.Semaphore(_AT_ONCE)

    async def release_run(run: WorkflowExecution) -> int:
        async with room:
            pending = await _pending(client, run)
            held = [id for id, holder in pending if holder.startswith(f"{node}@") and holder != identity]
            await asyncio.gather(*(_fail(client, run.id, run.run_id, activity) for activity in held))
        return len(held)

    released = sum(await asyncio.gather(*(release_run(run) for run in runs)))
    if released:
        log.info("took over from a former process", activities=released)
    return released


async def release_later(client: Client, node: str, identity: str, runs: Sequence[WorkflowExecution]) -> None:
    """The same for those that nobody waits for; what can't be asked for goes on after its timeout."""
    try:
        await release(client, node, identity, runs)
    except RPCError as error:
        log.warning("what a former process held is left to its timeout", problem=error.message)


async def _pending(client: Client, run: WorkflowExecution) -> list[tuple[str, str]]:
    """Activity and who holds it; none of a run that has gone meanwhile."""
    try:
        description = await client.get_workflow_handle(run.id, run_id=run.run_id).describe()
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
        return []
    return [(a.activity_id, a.last_worker_identity) for a in description.raw_description.pending_activities]


async def _fail(client: Client, workflow_id: str, run_id: str, activity_id: str) -> None:
    handle = client.get_async_activity_handle(workflow_id=workflow_id, run_id=run_id, activity_id=activity_id)
    try:
        await handle.fail(ApplicationError("the node was restarted", type="NodeRestarted", next_retry_delay=_PAUSE))
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
