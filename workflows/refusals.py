"""How a run says no: at once, for good, and with what to do next in its message."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception
from temporalio.worker import (
    ExecuteWorkflowInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from activities.failures import application_error, failure_of, typed
from iarnet.errors import InvalidInput


def one_input(init: Callable[..., None]) -> Callable[..., None]:
    """`workflow.init` for an `__init__` with one input; without this, any other number of them retries for ever."""

    @functools.wraps(init)
    def checked(self: Any, *inputs: Any) -> None:
        _require_one(inputs)
        init(self, *inputs)

    return workflow.init(checked)


class RunInterceptor(Interceptor):
    """An activity's failure that ends a run becomes one of the run's own: the list of runs alone says what it was."""

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:
        return _Run


class _Run(WorkflowInboundInterceptor):
    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
        _require_one(input.args)
        try:
            return await super().execute_workflow(input)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            raise typed(failure_of(error)) from None


def _require_one(inputs: Sequence[Any]) -> None:
    if len(inputs) != 1:
        raise application_error(
            InvalidInput(
                f"A run takes one input, a JSON object, and this one was given {len(inputs)}.",
                where="input",
                hint='For example --input \'{"app":"shop"}\'.',
            )
        )
