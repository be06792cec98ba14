"""The one workflow sandbox, for workers, the replayer and tests."""

from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions
from temporalio.workflow import SandboxImportNotificationPolicy

POLICY = (
    SandboxImportNotificationPolicy.WARN_ON_DYNAMIC_IMPORT
    | SandboxImportNotificationPolicy.RAISE_ON_UNINTENTIONAL_PASSTHROUGH
)


def runner() -> SandboxedWorkflowRunner:
    """Passes our pure packages through: loading them again for every run was measured at 240–560 ms.

    An import that nobody intended raises, so that a workflow can't come to depend on the outside by accident.
    """
    restrictions = SandboxRestrictions.default.with_passthrough_modules("iarnet", "activities")
    return SandboxedWorkflowRunner(restrictions=restrictions.with_import_notification_policy(POLICY))
