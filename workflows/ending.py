"""What has to be done to its end, whatever happens to the run meanwhile."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from temporalio import workflow

T = TypeVar("T")


async def undisturbed(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which a cancellation of the run does not reach: half a compensation is worse than none.

    The cancellation is not raised here; `stop_if_cancelled` does that where it can be answered.
    """
    task = asyncio.create_task(work)
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            continue
    return task.result()


def stop_if_cancelled() -> None:
    """Raises when the run was cancelled: while an activity was ending well, or undisturbed, nothing has told us."""
    if was_cancelled():
        raise asyncio.CancelledError


def was_cancelled() -> bool:
    return workflow.cancellation_reason() is not None
