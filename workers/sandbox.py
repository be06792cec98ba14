"""The one workflow sandbox, for workers, the replayer and tests."""

from temporalio.worker import UnsandboxedWorkflowRunner, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions
from temporalio.workflow import SandboxImportNotificationPolicy


def runner(inside: type[WorkflowRunner] = UnsandboxedWorkflowRunner) -> SandboxedWorkflowRunner:
    """Passes our pure packages through: loading them again for every run was measured at 240–560 ms.

    The workflows' own modules are not: they are loaded under the restrictions, so that reading a clock raises. So is
    that of `inside`, which runs them there.
    """
    restrictions = SandboxRestrictions.default.with_passthrough_modules("iarnet", "activities")
    policy = SandboxImportNotificationPolicy.WARN_ON_DYNAMIC_IMPORT
    return SandboxedWorkflowRunner(
        runner_class=inside, restrictions=restrictions.with_import_notification_policy(policy)
    )
