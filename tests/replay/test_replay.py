"""Today's workflows take the decisions of the recorded ones."""

import re
from collections import defaultdict
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory
from temporalio.workflow import NondeterminismError

from tests.replay.histories import FOLDER, PLACES, load, words
from tests.replay.incompatible import DeployApp
from workers.catalogue import WORKFLOWS
from workers.replaying import replayer

HISTORIES = sorted(FOLDER.glob("*.json.gz"))
FAILED = (EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED, EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED)


def _name(path: Path) -> str:
    return path.name.removesuffix(".json.gz")


@pytest.mark.parametrize("path", HISTORIES, ids=_name)
async def test_a_recorded_run_would_run_the_same(path: Path) -> None:
    await replayer().replay_workflow(load(path))


@pytest.mark.parametrize("path", HISTORIES, ids=_name)
async def test_another_worker_can_take_it_up_at_any_point(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """And let go of it again there, with nothing of it left running."""
    history = load(path)
    points = [n for n, e in enumerate(history.events) if e.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED]
    for point in points:
        await replayer().replay_workflow(WorkflowHistory(history.workflow_id, history.events[: point + 1]))
    assert not [record.message for record in caplog.records if record.levelname == "ERROR"]


def test_every_type_is_recorded_ending_well_and_failing() -> None:
    ended: dict[str, set[bool]] = defaultdict(set)
    for path in HISTORIES:
        events = load(path).events
        kind = events[0].workflow_execution_started_event_attributes.workflow_type.name
        ended[kind].add(events[-1].event_type in FAILED)
    assert ended == {workflow.__name__: {True, False} for workflow in WORKFLOWS}


@pytest.mark.parametrize("path", HISTORIES, ids=_name)
def test_a_history_is_small_and_of_no_machine(path: Path) -> None:
    text = words(load(path))
    assert not PLACES.search(text)
    assert not re.search(r"[0-9]+@[a-z]", text)
    assert path.stat().st_size < 20_000


@pytest.mark.parametrize("case", ["good", "held", "rolled-back", "cancelled"])
async def test_another_order_of_commands_is_caught(case: str) -> None:
    others = [workflow for workflow in WORKFLOWS if workflow.__name__ != "DeployApp"]
    history = load(FOLDER / f"DeployApp-{case}.json.gz")
    with pytest.raises(NondeterminismError, match="TMPRL1100"):
        await replayer([*others, DeployApp]).replay_workflow(history)
