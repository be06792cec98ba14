"""Watches move on to new versions of the workers. A module of its own: the sandbox loads it anew for every run."""

import dataclasses

from temporalio.common import VersioningBehavior
from temporalio.worker import UnsandboxedWorkflowRunner, WorkflowInstance, WorkflowInstanceDetails

WATCHES = ("HealthWatch", "ProviderWatch", "CertificateWatch")


class Moving(UnsandboxedWorkflowRunner):
    """Not said at the workflows themselves: the server refuses it of workers that have no version."""

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        if det.defn.name in WATCHES:
            moves = dataclasses.replace(det.defn, versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
            det = dataclasses.replace(det, defn=moves)
        return super().create_instance(det)
