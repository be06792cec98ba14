"""What holds for every workflow, whatever it does."""

import inspect
from typing import Any

import pytest
from temporalio.workflow import ActivityCancellationType

from activities import options
from iarnet.models.base import Value
from workers.catalogue import WORKFLOWS

OPTIONS = {name: value for name, value in vars(options).items() if name.isupper() and isinstance(value, dict)}


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_an_activity_that_is_cancelled_is_waited_for(name: str) -> None:
    assert OPTIONS[name]["cancellation_type"] is ActivityCancellationType.WAIT_CANCELLATION_COMPLETED


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda workflow: workflow.__name__)
def test_a_run_takes_one_value(workflow: Any) -> None:
    """So that it can be started by hand with one JSON object."""
    parameters = list(inspect.signature(workflow.run).parameters.values())
    assert len(parameters) == 2
    assert issubclass(parameters[1].annotation, Value)
