"""What Temporal itself takes: a workflow that does nothing but call an activity that does nothing."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

_QUEUE = "bench"


@activity.defn
async def nothing() -> None:
    pass


@workflow.defn
class InSequence:
    @workflow.run
    async def run(self, count: int) -> None:
        for _ in range(count):
            await workflow.execute_activity(nothing, start_to_close_timeout=timedelta(seconds=10))


@asynccontextmanager
async def working(client: Client) -> AsyncIterator[None]:
    runner = UnsandboxedWorkflowRunner()
    async with Worker(
        client, task_queue=_QUEUE, workflows=[InSequence], activities=[nothing], workflow_runner=runner
    ):
        yield


async def in_sequence(client: Client, count: int) -> float:
    """Seconds for so many activities, one after the other."""
    began = time.monotonic()
    await client.execute_workflow(InSequence.run, count, id=f"bench-{uuid4()}", task_queue=_QUEUE)
    return time.monotonic() - began
