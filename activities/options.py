"""Timeouts and retries, in one place.

`WAIT_CANCELLATION_COMPLETED` everywhere: with the SDK's default (TRY_CANCEL) compensation was measured to begin while
the activity was still creating, and it was told 2.5–14.5 s later.
"""

from dataclasses import replace
from datetime import timedelta
from typing import TypedDict

from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType

QUEUE = "iarnet"

_RETRY = RetryPolicy(initial_interval=timedelta(seconds=0.2), backoff_coefficient=2.0)


class Options(TypedDict, total=False):
    start_to_close_timeout: timedelta
    schedule_to_start_timeout: timedelta
    schedule_to_close_timeout: timedelta
    heartbeat_timeout: timedelta
    retry_policy: RetryPolicy
    cancellation_type: ActivityCancellationType


def _options(
    total_s: float, attempts: int, *, heartbeat: bool = True, absent_s: float | None = 15, pause_s: float = 10
) -> Options:
    """`absent_s`: how long nobody may take the activity before its node counts as absent; `pause_s`: the longest
    pause before another attempt."""
    options: Options = {
        "start_to_close_timeout": timedelta(seconds=total_s),
        "cancellation_type": ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        "retry_policy": RetryPolicy(
            initial_interval=_RETRY.initial_interval,
            backoff_coefficient=_RETRY.backoff_coefficient,
            maximum_interval=timedelta(seconds=pause_s),
            maximum_attempts=attempts,
        ),
    }
    if heartbeat:
        options["heartbeat_timeout"] = timedelta(seconds=5)
    if absent_s:
        options["schedule_to_start_timeout"] = timedelta(seconds=absent_s)
    return options


# How long what undoes a change tries again, and waits for its node to come back.
_UNDO = timedelta(minutes=5)


def undoing(options: Options) -> Options:
    """The same for what undoes a change: with a deadline for all attempts instead of a number of them. It must not
    stop half-way as an engine is away for a minute."""
    return {
        **options,
        "schedule_to_start_timeout": _UNDO,
        "schedule_to_close_timeout": _UNDO + options["start_to_close_timeout"],
        "retry_policy": replace(options["retry_policy"], maximum_attempts=0, maximum_interval=timedelta(seconds=5)),
    }


# How often the node may be killed under one activity; errors have a bound of their own (`activities.failures`).
_CRASHES = 30

LOOK = _options(10, 8, heartbeat=False)
SOURCE = _options(600, _CRASHES)
ANALYZE = _options(120, _CRASHES)
PREPARE = _options(60, _CRASHES)
BUILD = _options(3600, _CRASHES, absent_s=1800)
DEPLOY = _options(1800, _CRASHES)
REMOVE = _options(120, _CRASHES)
RECONCILE = _options(600, _CRASHES)
MEND = _options(1800, _CRASHES)
# An authority may take minutes to decide.
ISSUE = _options(600, _CRASHES)
# A watch has nothing better to do than to wait until somebody can do it.
WATCH = _options(10, 0, heartbeat=False, absent_s=None)
# Every restart of the node is an attempt more, and must not make the next one come later.
FOLLOW = _options(10 * 365 * 86400, 0, absent_s=None, pause_s=0.5)


class LocalOptions(TypedDict, total=False):
    start_to_close_timeout: timedelta
    schedule_to_close_timeout: timedelta
    retry_policy: RetryPolicy
    cancellation_type: ActivityCancellationType


# A change that was accepted begins, also when the store is away for some minutes.
LOCAL: LocalOptions = {
    "start_to_close_timeout": timedelta(seconds=10),
    "schedule_to_close_timeout": timedelta(minutes=10),
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(milliseconds=100), maximum_interval=timedelta(seconds=5), maximum_attempts=0
    ),
    "cancellation_type": ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
}
# With a deadline instead of a number of attempts, too: a change whose end nobody has written down would run for ever.
END: LocalOptions = {**LOCAL, "schedule_to_close_timeout": timedelta(hours=1)}
# What does not go quickly and well is left to an activity, which can be told to stop and is tried again.
AT_HAND: LocalOptions = {
    **LOCAL,
    "start_to_close_timeout": timedelta(seconds=5),
    "schedule_to_close_timeout": timedelta(seconds=5),
    "retry_policy": RetryPolicy(maximum_attempts=1),
}
# How long a worker may keep a task of a run to itself: one that was killed over it is waited for that long.
TASK = timedelta(seconds=5)


def node_queue(node: str) -> str:
    """Where work runs that only this node can do."""
    return f"iarnet.node.{node}"


def node_of(queue: str) -> str:
    """Empty for the queue of all nodes."""
    return queue.removeprefix(QUEUE).removeprefix(".node.").removesuffix(".builds").removesuffix(".watches")


def builds_queue(node: str) -> str:
    return f"iarnet.node.{node}.builds"


def watches_queue(node: str) -> str:
    return f"iarnet.node.{node}.watches"
