"""Starting workflows, and speaking to those that run. They are named, not imported: any worker may serve them."""

import asyncio
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from pydantic import ConfigDict, JsonValue
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowUpdateStage,
)
from temporalio.common import (
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from activities.options import TASK
from iarnet import faults
from iarnet.errors import ChangeInProgress, Conflict
from iarnet.models.change import (
    AnalyzeRequest,
    ChangeRequest,
    ImportRequest,
    RestartRequest,
    Started,
)
from iarnet.models.reconciliation import Reconciliation
from iarnet.store.base import Facts

APP = SearchAttributeKey.for_keyword("IarnetApp")
CAUSE = SearchAttributeKey.for_keyword("IarnetCause")
NODE = SearchAttributeKey.for_keyword("IarnetNode")
RPC_TIMEOUT = timedelta(seconds=10)
CLOSED_S = 5.0


EXAMPLE: dict[str, JsonValue] = {
    "workflow_id": "change.shop",
    "run_id": "019a9f6e-5f0a-7c0e-8a57-0d7f3b1c2d4e",
    "url": "http://127.0.0.1:8233/namespaces/iarnet/workflows/change.shop/019a9f6e-5f0a-7c0e-8a57-0d7f3b1c2d4e/history",
    "follow": "/api/v1/runs/change.shop/019a9f6e-5f0a-7c0e-8a57-0d7f3b1c2d4e",
}


class Accepted(Started):
    """`url` shows the run in the Temporal web UI; `follow` is where this API tells its progress."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    follow: str


@dataclass(frozen=True, kw_only=True)
class Starter:
    client: Client
    facts: Facts
    task_queue: str
    namespace: str
    node: str
    ui: str

    async def import_app(self, request: ImportRequest, ref: str) -> Accepted:
        """Joins an import of the same ref that runs already: it is the same work."""
        run_id = import_id(request.app, ref)
        return await self._join("ImportApp", request, run_id, request.app, f"import {request.app} {ref}".strip())

    async def analyze_app(self, request: AnalyzeRequest) -> Accepted:
        """Joins an analysis of the same commit that runs already."""
        run_id = f"analyze.{request.app}.{request.commit[:12]}"
        return await self._join("AnalyzeApp", request, run_id, request.app, f"analyze {request.app}")

    async def plan(self, request: ChangeRequest) -> Accepted:
        run_id = f"plan.{request.app}.{secrets.token_hex(6)}"
        return await self._start("PlanChange", request, run_id, request.app, request.cause, f"plan {request.app}")

    async def change(self, kind: str, request: ChangeRequest) -> Accepted:
        """`kind` is `DeployApp`, `StopApp` or `DeleteApp`. Raises `ChangeInProgress`."""
        run_id, summary = f"change.{request.app}", f"{request.cause} {request.app}"
        while True:
            try:
                return await self._start(kind, request, run_id, request.app, request.cause, summary)
            except WorkflowAlreadyStartedError as error:
                if not await self._ends(request.app, error):
                    raise self._in_progress(request.app, error) from None

    async def _ends(self, app: str, error: WorkflowAlreadyStartedError) -> bool:
        """Whoever has read that a change has ended may begin the next: its run is closed a moment later."""
        newest = await self.facts.deployments(app, limit=1)
        if not newest or newest[0].run_id != error.run_id or newest[0].status == "running":
            return False
        run = self.client.get_workflow_handle(error.workflow_id, run_id=error.run_id)
        try:
            async with asyncio.timeout(CLOSED_S):
                await run.result()
        except WorkflowFailureError:
            return True
        except TimeoutError:
            return False
        return True

    async def reconcile(self, order: Reconciliation) -> Accepted:
        handle = await self.client.start_workflow(
            "Reconcile",
            order,
            id=f"reconcile.{order.provider_id}.{secrets.token_hex(6)}",
            task_queue=self.task_queue,
            static_summary=f"{'compares' if order.dry_run else 'puts right'} {order.provider_id}",
            request_eager_start=True,
            rpc_timeout=RPC_TIMEOUT,
        )
        return self.accepted(handle.id, handle.result_run_id or "")

    async def restart(self, app: str, request: RestartRequest) -> Accepted:
        """Returns once the watch has accepted it. Raises `Conflict` when the app has no watch."""
        handle = self.client.get_workflow_handle(f"watch.{app}")
        try:
            update = await handle.start_update(
                "restart", request, wait_for_stage=WorkflowUpdateStage.ACCEPTED, rpc_timeout=RPC_TIMEOUT
            )
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
            raise Conflict(
                f"nothing of {app!r} is running", where=app, hint=f"start it first: POST /api/v1/apps/{app}/start"
            ) from error
        return self.accepted(update.workflow_id, update.workflow_run_id or "")

    async def cancel(self, app: str) -> Accepted:
        """Asks the change that runs to stop and compensate. Raises `Conflict` when there is none."""
        handle = self.client.get_workflow_handle(f"change.{app}")
        run_id = await self._running(handle)
        if run_id is None:
            raise Conflict(f"no change of {app!r} is running", where=app, hint="there is nothing to cancel")
        await self.client.get_workflow_handle(handle.id, run_id=run_id).cancel(rpc_timeout=RPC_TIMEOUT)
        return self.accepted(handle.id, run_id)

    def accepted(self, workflow_id: str, run_id: str) -> Accepted:
        wid, rid = quote(workflow_id, safe=""), quote(run_id, safe="")
        url = f"{self.ui.rstrip('/')}/namespaces/{quote(self.namespace)}/workflows/{wid}/{rid}/history"
        return Accepted(
            workflow_id=workflow_id, run_id=run_id, url=url if self.ui else "", follow=f"/api/v1/runs/{wid}/{rid}"
        )

    async def _join(self, kind: str, arg: Any, workflow_id: str, app: str, summary: str) -> Accepted:
        try:
            return await self._start(kind, arg, workflow_id, app, "deploy", summary)
        except WorkflowAlreadyStartedError as error:
            return self.accepted(workflow_id, error.run_id or "")

    async def _start(self, kind: str, arg: Any, workflow_id: str, app: str, cause: str, summary: str) -> Accepted:
        handle = await self.client.start_workflow(
            kind,
            arg,
            id=workflow_id,
            task_queue=self.task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            search_attributes=self._attributes(app, cause),
            static_summary=summary,
            task_timeout=TASK,
            request_eager_start=True,
            rpc_timeout=RPC_TIMEOUT,
        )
        faults.reached("run.started")
        return self.accepted(handle.id, handle.result_run_id or "")

    def _attributes(self, app: str, cause: str) -> TypedSearchAttributes:
        pairs = [(APP, app), (CAUSE, cause), (NODE, self.node)]
        return TypedSearchAttributes([SearchAttributePair(key, value) for key, value in pairs])

    def _in_progress(self, app: str, error: WorkflowAlreadyStartedError) -> ChangeInProgress:
        run = self.accepted(error.workflow_id, error.run_id or "")
        return ChangeInProgress(
            f"another change of {app!r} is running",
            where=f"{run.workflow_id}/{run.run_id}",
            hint=f"wait for it ({run.url or run.follow}) or cancel it: POST /api/v1/apps/{app}/cancel",
        )

    async def _running(self, handle: WorkflowHandle[Any, Any]) -> str | None:
        try:
            seen = await handle.describe(rpc_timeout=RPC_TIMEOUT)
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:
                return None
            raise
        return seen.run_id if seen.status == WorkflowExecutionStatus.RUNNING else None


def import_id(app: str, ref: str) -> str:
    return f"import.{app}.{safe_id(ref) or 'default'}"


def safe_id(text: str) -> str:
    """The text as part of a workflow ID, in which Temporal's HTTP API allows no slash."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in text)
