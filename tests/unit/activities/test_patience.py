"""How often an error is tried again: kills that its activity has survived don't count."""

from dataclasses import replace
from typing import Any

import pytest
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from activities.failures import FailureInterceptor
from iarnet.errors import GatewayUnavailable, IarnetError, ProviderUnavailable, StoreUnavailable
from iarnet.secrets.sealed import MemoryRows, SealedSecrets

PATIENCE = 6
"""Errors, the last of which is final."""


class Unlucky(ActivityInboundInterceptor):
    """The activity: it has no success until `mended`."""

    def __init__(self, error: type[Exception] = GatewayUnavailable) -> None:
        self.mended = False
        self._error = error

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        if not self.mended:
            raise self._error("not yet")


def environment(attempt: int, attempts: int = 30) -> ActivityEnvironment:
    made = ActivityEnvironment()
    policy = RetryPolicy(maximum_attempts=attempts)
    made.info = replace(made.info, attempt=attempt, schedule_to_close_timeout=None, retry_policy=policy)
    return made


def interceptor(activity: Unlucky) -> ActivityInboundInterceptor:
    return FailureInterceptor(SealedSecrets(MemoryRows(), b"k" * 32)).intercept_activity(activity)


async def is_final(under: ActivityInboundInterceptor, attempt: int, attempts: int = 30) -> bool:
    with pytest.raises(ApplicationError) as raised:
        await environment(attempt, attempts).run(under.execute_activity, None)
    return raised.value.non_retryable


async def test_the_first_error_after_many_kills_is_not_the_last() -> None:
    assert not await is_final(interceptor(Unlucky()), attempt=20)


async def test_errors_have_an_end() -> None:
    under = interceptor(Unlucky())
    assert [await is_final(under, n) for n in range(1, PATIENCE + 1)] == [False] * (PATIENCE - 1) + [True]


@pytest.mark.parametrize(("error", "patience"), [(ProviderUnavailable, 8), (StoreUnavailable, 12)])
async def test_what_is_away_is_waited_for_longer(error: type[IarnetError], patience: int) -> None:
    """With the pauses of `activities.options`, 20 s for an engine, a minute for the store."""
    under = interceptor(Unlucky(error))
    assert [await is_final(under, n) for n in range(1, patience + 1)] == [False] * (patience - 1) + [True]


@pytest.mark.parametrize("error", [StoreUnavailable, ValueError])
async def test_what_may_be_tried_for_ever_is(error: type[Exception]) -> None:
    under = interceptor(Unlucky(error))
    assert not any([await is_final(under, n, attempts=0) for n in range(1, 30)])


async def test_a_success_begins_anew() -> None:
    activity = Unlucky()
    under = interceptor(activity)
    assert [await is_final(under, n) for n in range(1, PATIENCE)] == [False] * (PATIENCE - 1)
    activity.mended = True
    await environment(PATIENCE).run(under.execute_activity, None)
    activity.mended = False
    assert not await is_final(under, attempt=1)
