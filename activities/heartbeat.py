"""Keeping a long activity alive, and cancellable, while it waits for something else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from temporalio import activity


@asynccontextmanager
async def heartbeating(*details: object, every_s: float = 1.0) -> AsyncIterator[None]:
    """Heartbeats until the block ends: cancellation reaches an activity only through its heartbeats.

    The first one comes after a pause: what is done by then needs none, and none could have told it anything. A local
    activity has none: it is part of its run's task.
    """
    if activity.info().is_local:
        yield
        return

    async def beat() -> None:
        await asyncio.sleep(every_s / 2)
        while True:
            activity.heartbeat(*details)
            await asyncio.sleep(every_s)

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()
