"""What a run does now, or how it ended: from the run itself, or from the store once Temporal has forgotten it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
)
from temporalio.exceptions import CancelledError, TerminatedError
from temporalio.service import RPCError, RPCStatusCode

from activities.failures import failure_of
from api.errors import understood
from iarnet.errors import NotFound
from iarnet.models.base import Value
from iarnet.models.change import Deployment, DeploymentStatus, Failure, Progress
from iarnet.store.base import Store

QUERY_TIMEOUT = timedelta(seconds=5)
SOON_S, LATER_S = 0.1, 1.0
KINDS = ("import", "analyze", "plan", "change", "watch", "select")
ENDED = {
    WorkflowExecutionStatus.COMPLETED,
    WorkflowExecutionStatus.CANCELED,
    WorkflowExecutionStatus.TERMINATED,
    WorkflowExecutionStatus.FAILED,
    WorkflowExecutionStatus.TIMED_OUT,
}


class RunEnd(Value):
    """The last event of a run: `result` is what the workflow returned, None when it failed."""

    progress: Progress
    result: Any = None


@dataclass(frozen=True, kw_only=True)
class Runs:
    client: Client
    store: Store

    async def progress(self, workflow_id: str, run_id: str) -> Progress:
        """Raises `NotFound` when neither Temporal nor the store knows the run."""
        app = app_of(workflow_id)
        handle = self.client.get_workflow_handle(workflow_id, run_id=run_id)
        seen = await self._describe(handle)
        if seen is None:
            return await self._remembered(run_id)
        if seen.status in ENDED:
            return (await self._ended(handle, app, run_id)).progress
        return await self._current(handle, app, run_id)

    async def check(self, workflow_id: str, run_id: str) -> None:
        """Raises `NotFound` when neither Temporal nor the store knows the run."""
        app_of(workflow_id)
        if await self._describe(self.client.get_workflow_handle(workflow_id, run_id=run_id)) is None:
            await self._remembered(run_id)

    async def follow(self, workflow_id: str, run_id: str) -> AsyncIterator[Progress | RunEnd]:
        """Each change of the progress once, then the end. Looks often while things change, seldom while not.

        Not at once: each look is a question to the run, which has better things to do when it begins.
        """
        app = app_of(workflow_id)
        handle = self.client.get_workflow_handle(workflow_id, run_id=run_id)
        ended = asyncio.ensure_future(self._ended(handle, app, run_id))
        last, pause = None, SOON_S
        try:
            while not (await asyncio.wait({ended}, timeout=pause))[0]:
                now = await self._current(handle, app, run_id)
                pause = min(LATER_S, pause * 1.5)
                if now != last:
                    yield now
                    last, pause = now, SOON_S
            yield await ended
        finally:
            ended.cancel()

    async def result(self, workflow_id: str, run_id: str, kind: type[Any]) -> Any:
        """Waits for the end. Raises the error that the run ended with."""
        try:
            return await self.client.get_workflow_handle(workflow_id, run_id=run_id, result_type=kind).result()
        except WorkflowFailureError as error:
            raise understood(error) from error

    async def _describe(self, handle: WorkflowHandle[Any, Any]) -> WorkflowExecutionDescription | None:
        try:
            return await handle.describe(rpc_timeout=QUERY_TIMEOUT)
        except RPCError as error:
            if error.status in (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT):
                return None
            raise

    async def _current(self, handle: WorkflowHandle[Any, Any], app: str, run_id: str) -> Progress:
        """While no worker answers, what the store remembers is the best there is."""
        try:
            found: Progress = await handle.query("progress", result_type=Progress, rpc_timeout=QUERY_TIMEOUT)
            return found
        except (WorkflowQueryFailedError, RPCError):
            deployment = await self.store.facts.run(run_id)
        return _of(deployment) if deployment else Progress(app=app)

    async def _ended(self, handle: WorkflowHandle[Any, Any], app: str, run_id: str) -> RunEnd:
        """Waits for it."""
        status: DeploymentStatus = "succeeded"
        failure: Failure | None = None
        result: Any = None
        try:
            result = await handle.result()
        except WorkflowFailureError as error:
            status = "cancelled" if isinstance(error.cause, CancelledError | TerminatedError) else "failed"
            failure = failure_of(understood(error))
        deployment = await self.store.facts.run(run_id)
        progress = _of(deployment) if deployment else Progress(app=app)
        if progress.status == "running":
            progress = progress.model_copy(update={"status": status})
        return RunEnd(progress=progress.model_copy(update={"failure": progress.failure or failure}), result=result)

    async def _remembered(self, run_id: str) -> Progress:
        deployment = await self.store.facts.run(run_id)
        if deployment is None:
            raise NotFound("there is no such run", where=run_id, hint="finished runs are kept for 30 days")
        return _of(deployment)


def app_of(workflow_id: str) -> str:
    """`change.shop` -> `shop`. Raises `NotFound` for what is no workflow of an application."""
    kind, _, rest = workflow_id.partition(".")
    if kind not in KINDS or not rest:
        raise NotFound("there is no such run", where=workflow_id, hint="run IDs look like `change.APP`")
    return rest.partition(".")[0]


def _of(deployment: Deployment) -> Progress:
    progress = deployment.progress or Progress(app=deployment.app, revision=deployment.revision)
    told = {"deployment_id": deployment.id, "status": deployment.status, "failure": deployment.failure}
    return progress.model_copy(update=told)
