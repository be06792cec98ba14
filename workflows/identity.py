"""Workflow IDs are locks: a workflow that runs under another ID than its own holds no lock."""

from temporalio import workflow

from activities.failures import application_error
from iarnet.errors import WrongWorkflowId


def require_id(*expected: str) -> None:
    """Fails the run unless it runs under one of these IDs (`prefix.*` allows any ending)."""
    actual = workflow.info().workflow_id
    if any(actual == e or (e.endswith("*") and actual.startswith(e[:-1])) for e in expected):
        return
    info = workflow.info()
    raise application_error(
        WrongWorkflowId(
            f"{info.workflow_type} was started as {actual}; only {' or '.join(expected)} keeps others out meanwhile.",
            where=actual,
            hint=f"temporal workflow start --type {info.workflow_type} --task-queue {info.task_queue}"
            f" --workflow-id {expected[0].rstrip('*') + ('1' if expected[0].endswith('*') else '')} --input '…'",
        )
    )
