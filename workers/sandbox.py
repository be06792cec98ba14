"""The one workflow sandbox, for workers, the replayer and tests."""

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
from temporalio.workflow import Info, SandboxImportNotificationPolicy


def runner(inside: type[WorkflowRunner] = UnsandboxedWorkflowRunner) -> SandboxedWorkflowRunner:
    """Passes our pure packages through: loading them again for every run was measured at 240–560 ms.

    The workflows' own modules are not: they are loaded under the restrictions, so that reading a clock raises. So is
    that of `inside`, which runs them there.
    """
    restrictions = SandboxRestrictions.default.with_passthrough_modules("iarnet", "activities")
    policy = SandboxImportNotificationPolicy.WARN_ON_DYNAMIC_IMPORT
    return _Runner(runner_class=inside, restrictions=restrictions.with_import_notification_policy(policy))


class _Runner(SandboxedWorkflowRunner):
    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        return _OneConverter(super().create_instance(det))


class _OneConverter(WorkflowInstance):
    """A run whose payloads are all read and written alike, wherever they go.

    The SDK asks the sandbox anew for each of them what it is about, four times: an eighth of the CPU time that a
    deployment took. No converter, codec or storage of ours wants to know.
    """

    def __init__(self, inside: WorkflowInstance) -> None:
        self._inside = inside

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        return self._inside.activate(act)

    def get_info(self) -> Info:
        return self._inside.get_info()

    def get_thread_id(self) -> int | None:
        return self._inside.get_thread_id()

    def get_serialization_context(self, command_info: Any) -> None:
        return None

    def get_external_store_context(self, command_info: Any) -> StorageDriverStoreContext:
        return StorageDriverStoreContext()
