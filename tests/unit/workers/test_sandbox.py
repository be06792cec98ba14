"""To which run a sandbox belongs, when the SDK evicts a run that is slow to go."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import pytest
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.worker.workflow_sandbox._runner import _Instance

from workers import sandbox
from workers.sandbox import _Run

WITHIN_S = 10.0


class Played:
    """A sandbox that is slow until `go`, and fails while there are `errors`."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.activated = 0
        self.began, self.go = threading.Event(), threading.Event()
        self.go.set()

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        self.activated += 1
        self.began.set()
        assert self.go.wait(WITHIN_S)
        if self.errors:
            raise self.errors.pop()
        return WorkflowActivationCompletion(run_id=act.run_id)


def run_of(played: Played) -> tuple[_Run, list[_Instance]]:
    spare: list[_Instance] = []
    return _Run(cast(_Instance, played), spare), spare


def eviction() -> WorkflowActivation:
    act = WorkflowActivation(run_id="r")
    act.jobs.add().remove_from_cache.SetInParent()
    return act


def test_it_is_spare_once_its_run_is_evicted() -> None:
    played = Played()
    run, spare = run_of(played)
    run.activate(WorkflowActivation(run_id="r"))
    assert spare == []
    run.activate(eviction())
    assert spare == [played]


def test_one_that_was_given_away_is_left_alone() -> None:
    played = Played()
    run, spare = run_of(played)
    run.activate(eviction())
    assert run.activate(eviction()).HasField("successful")
    assert (spare, played.activated) == ([played], 1)


@pytest.mark.parametrize("first", [eviction(), WorkflowActivation(run_id="r")], ids=["eviction", "stuck"])
def test_an_eviction_waits_for_what_is_under_way(first: WorkflowActivation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "_TURN_S", 0.01, raising=False)
    played = Played()
    played.go.clear()
    run, spare = run_of(played)
    with ThreadPoolExecutor() as threads:
        under_way = threads.submit(run.activate, first)
        try:
            assert played.began.wait(WITHIN_S)
            # The SDK repeats it as long as it fails.
            with pytest.raises(RuntimeError, match="still under way"):
                threads.submit(run.activate, eviction()).result(0.5)
            assert played.activated == 1
        finally:
            played.go.set()
        under_way.result(WITHIN_S)
    run.activate(eviction())
    assert spare == []


def test_one_that_could_not_be_evicted_at_first_is_not_used_again() -> None:
    played = Played(RuntimeError("2 tasks remain"))
    run, spare = run_of(played)
    with pytest.raises(RuntimeError, match="tasks remain"):
        run.activate(eviction())
    run.activate(eviction())
    assert (spare, played.activated) == ([], 2)
