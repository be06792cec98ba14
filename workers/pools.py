"""The workers of a node: effects with many slots, watches that only wait, builds that are few.

One pool for all would let a hundred waiting activities stop the node.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.worker import Worker

from activities.failures import FailureInterceptor
from activities.options import QUEUE, builds_queue, node_queue, watches_queue
from iarnet.secrets.base import Secrets
from workers import versions
from workers.catalogue import WORKFLOWS
from workflows.refusals import RunInterceptor

_STICKY_S = 1.0
# An activity that is cut short is taken up again after the restart: a clean stop needn't wait for it.
_GRACE_S = 1.0


@dataclass(frozen=True)
class Activities:
    """`anywhere` needs only the store; `here` touches what this node alone can reach."""

    anywhere: Sequence[Any]
    here: Sequence[Any]
    watches: Sequence[Any]
    builds: Sequence[Any]


def workers(client: Client, node: str, activities: Activities, secrets: Secrets, build: str = "") -> list[Worker]:
    """`iarnet` runs workflows and what any node can do; the other queues are this node's own.

    After a kill, a run waits for its sticky queue to time out: 10 s by default, 1 s here. With a `build`, runs stay
    on workers of the build that they began on; what a node alone can do any build of it does.
    """
    common: dict[str, Any] = {
        "interceptors": [FailureInterceptor(secrets), RunInterceptor()],
        "graceful_shutdown_timeout": timedelta(seconds=_GRACE_S),
        "max_heartbeat_throttle_interval": timedelta(seconds=1),
        "default_heartbeat_throttle_interval": timedelta(seconds=1),
    }
    return [
        Worker(
            client,
            task_queue=QUEUE,
            workflows=list(WORKFLOWS),
            activities=[*activities.anywhere],
            sticky_queue_schedule_to_start_timeout=timedelta(seconds=_STICKY_S),
            max_concurrent_activities=100,
            **common | versions.options(build),
        ),
        Worker(
            client,
            task_queue=node_queue(node),
            activities=[*activities.anywhere, *activities.here],
            max_concurrent_activities=400,
            **common,
            **versions.unversioned(),
        ),
        Worker(
            client,
            task_queue=watches_queue(node),
            activities=[*activities.watches],
            max_concurrent_activities=200,
            **versions.unversioned(),
            **common | {"graceful_shutdown_timeout": timedelta()},  # a watch never ends by itself
        ),
        Worker(
            client,
            task_queue=builds_queue(node),
            activities=[*activities.builds],
            max_concurrent_activities=4,
            **common,
            **versions.unversioned(),
        ),
    ]


@asynccontextmanager
async def serving(pool: Sequence[Worker]) -> AsyncIterator[None]:
    """They work until the block ends, and then stop together."""
    async with AsyncExitStack() as stack:
        for worker in pool:
            await stack.enter_async_context(worker)
        yield
        await asyncio.gather(*(worker.shutdown() for worker in pool))
