"""Work that one node alone can do, which most often is the one that this run is at."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    FailureError,
    TimeoutError,
    TimeoutType,
    is_cancelled_exception,
)

from activities.failures import absent, typed
from activities.options import AT_HAND, Options, node_of

A = TypeVar("A")
R = TypeVar("R")


async def on_node(
    queue: str, method: Callable[[Any, A], Awaitable[R]], argument: A, *, summary: str, options: Options
) -> R:
    """Once more when nobody took it up in time: the node may have been down together with us, and be back as we are.

    The second time is final: `NodeUnreachable`.
    """
    try:
        return await _execute(queue, method, argument, summary, options)
    except ActivityError as error:
        if not _was_not_taken(error):
            raise
    try:
        return await _execute(queue, method, argument, summary, options)
    except ActivityError as error:
        if not _was_not_taken(error):
            raise
        raise typed(absent(error.activity_type, node_of(queue))) from None


async def at_hand(method: Callable[[Any, A], Awaitable[R | None]], argument: A, *, summary: str) -> R | None:
    """At once, as part of this run's own task, which spares Temporal an activity. None when that is not the way: the
    worker is another node's, or it takes long, or goes wrong in a way that another attempt may mend.

    Raises what is final.
    """
    try:
        return await workflow.execute_local_activity_method(method, argument, summary=summary, **AT_HAND)
    except FailureError as error:
        # Here, the SDK wraps a time-out and a cancellation alone: what was raised comes as it is.
        final = isinstance(error, ApplicationError) and error.non_retryable
        if final or is_cancelled_exception(error):
            raise
        return None


def _was_not_taken(error: ActivityError) -> bool:
    return isinstance(error.cause, TimeoutError) and error.cause.type == TimeoutType.SCHEDULE_TO_START


async def _execute(
    queue: str, method: Callable[[Any, A], Awaitable[R]], argument: A, summary: str, options: Options
) -> R:
    return await workflow.execute_activity_method(method, argument, task_queue=queue, summary=summary, **options)
