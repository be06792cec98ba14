"""The one workflow sandbox, for workers, the replayer and tests."""

import threading
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.converter import StorageDriverStoreContext
from temporalio.worker import (
    UnsandboxedWorkflowRunner,
    WorkflowInstance,
    WorkflowInstanceDetails,
    WorkflowRunner,
)
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions
from temporalio.worker.workflow_sandbox._runner import _Instance
from temporalio.workflow import Info, SandboxImportNotificationPolicy

_SPARE = 20
# How long an activation waits for the one before it: less than the 2 s after which the SDK gives up on it as well.
_TURN_S = 1.0


def runner(inside: type[WorkflowRunner] = UnsandboxedWorkflowRunner) -> SandboxedWorkflowRunner:
    """Passes our pure packages through: loading them again for every run was measured at 240–560 ms.

    The workflows' own modules are not: they are loaded under the restrictions, so that reading a clock raises. So is
    that of `inside`, which runs them there.
    """
    restrictions = SandboxRestrictions.default.with_passthrough_modules("iarnet", "activities")
    policy = SandboxImportNotificationPolicy.WARN_ON_DYNAMIC_IMPORT
    return _Runner(runner_class=inside, restrictions=restrictions.with_import_notification_policy(policy))


@dataclass(frozen=True)
class _Runner(SandboxedWorkflowRunner):
    """A run gets the sandbox of one that has ended, with the workflow's modules, if there is one.

    To load them took 5 ms of each run, before it could begin; they have no state in which two could differ.
    """

    _spare: defaultdict[type, list[_Instance]] = field(default_factory=lambda: defaultdict(list), init=False)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        spare = self._spare[det.defn.cls]
        if not spare:
            made = super().create_instance(det)
            assert isinstance(made, _Instance), "the SDK's own"
            return _Run(made, spare)
        again = spare.pop()
        again.instance_details = det
        again._create_instance()
        return _Run(again, spare)


class _Run(WorkflowInstance):
    """A run whose payloads are all read and written alike, wherever they go.

    The SDK asks the sandbox anew for each of them what it is about, four times: an eighth of the CPU time that a
    deployment took. No converter, codec or storage of ours wants to know.
    """

    def __init__(self, inside: _Instance, spare: list[_Instance]) -> None:
        self._inside = inside
        self._spare = spare
        self._turn = threading.Lock()
        self._sound = True
        self._evicted = False

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        """One at a time, and none after the eviction, when the sandbox may be another run's.

        The SDK gives up on an activation that takes over 2 s, but its thread goes on; then it sends an eviction, and
        repeats that until one ends well. Only when no thread is in the sandbox any more may one do so.
        """
        if not self._turn.acquire(timeout=_TURN_S):
            self._sound = False
            raise RuntimeError(f"An activation of {act.run_id} is still under way.")
        try:
            return _nothing() if self._evicted else self._activate(act)
        except BaseException:
            self._sound = False
            raise
        finally:
            self._turn.release()

    def _activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        completion = self._inside.activate(act)
        self._evicted = any(job.HasField("remove_from_cache") for job in act.jobs)
        if self._evicted and self._sound and len(self._spare) < _SPARE:
            self._spare.append(self._inside)
        return completion

    def get_info(self) -> Info:
        return self._inside.get_info()

    def get_thread_id(self) -> int | None:
        return self._inside.get_thread_id()

    def get_serialization_context(self, command_info: Any) -> None:
        return None

    def get_external_store_context(self, command_info: Any) -> StorageDriverStoreContext:
        return StorageDriverStoreContext()


def _nothing() -> WorkflowActivationCompletion:
    completion = WorkflowActivationCompletion()
    completion.successful.SetInParent()
    return completion
