"""What a node that was killed has left in Temporal: activities that wait for a heartbeat that will not come."""

import asyncio

import structlog
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

log = structlog.get_logger()


async def release(client: Client, node: str, identity: str) -> int:
    """Fail the activities that a former process of this node holds, so that they are retried now instead of after
    their heartbeat timeout; how many. `identity` is this process's own."""
    released = 0
    query = f'ExecutionStatus = "Running" AND TaskQueue = "iarnet" AND IarnetNode = "{node}"'
    async for run in client.list_workflows(query):
        description = await client.get_workflow_handle(run.id, run_id=run.run_id).describe()
        held = [a for a in _pending(description.raw_description) if a[1].startswith(f"{node}@") and a[1] != identity]
        await asyncio.gather(*(_fail(client, run.id, run.run_id, activity) for activity, _ in held))
        released += len(held)
    if released:
        log.info("took over from a former process", activities=released)
    return released


def _pending(description: DescribeWorkflowExecutionResponse) -> list[tuple[str, str]]:
    return [(a.activity_id, a.last_worker_identity) for a in description.pending_activities]


async def _fail(client: Client, workflow_id: str, run_id: str, activity_id: str) -> None:
    handle = client.get_async_activity_handle(workflow_id=workflow_id, run_id=run_id, activity_id=activity_id)
    try:
        await handle.fail(ApplicationError("the node was restarted", type="NodeRestarted"))
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
