"""The one way in which an application changes: plan, hold the watch, execute, record; or compensate.

`DeployApp`, `StopApp` and `DeleteApp` are thin types over it, so that a run says in its type what it is for.
"""

import asyncio
from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from activities.analyzing import Analyzing
from activities.failures import failure_of, typed
from activities.options import ANALYZE, END, LOCAL, PREPARE, REMOVE, SOURCE, Options, node_queue, undoing
from activities.planning import Planning
from activities.recording import Recording
from activities.sourcing import Sourcing
from activities.watching import Watching
from iarnet.models.change import (
    AnalyzeRequest,
    Begin,
    ChangeRequest,
    ChangeResult,
    Deployment,
    DeploymentStatus,
    Failure,
    ImportRequest,
)
from iarnet.models.plan import Operation, Plan
from iarnet.models.work import ChangeKind, Hold, Outcome, Prepare
from workflows.attributes import found_by
from workflows.ending import stop_if_cancelled, undisturbed, was_cancelled
from workflows.execution import Execution
from workflows.identity import require_id
from workflows.progress import Story
from workflows.reaching import at_hand, on_node
from workflows.undone import left

_DOING = {"deploy": "deploying", "stop": "stopping", "delete": "deleting"}


class Change:
    """One run. `story` answers the query."""

    def __init__(self, kind: ChangeKind, request: ChangeRequest) -> None:
        self._kind = kind
        # A stop that is started by hand need not say that it is one.
        self._request = request if kind == "deploy" else request.model_copy(update={"cause": kind})
        self._commit = ""
        self._plan: Plan | None = None
        self._execution: Execution | None = None
        self.story = Story(request.app)

    async def run(self) -> ChangeResult:
        """Raises `ApplicationError` typed by the failure's code when the change did not succeed."""
        require_id(f"change.{self._request.app}")
        started = workflow.now()
        deployment = await undisturbed(self._begin())
        error: BaseException | None = None
        try:
            await self._carry_out(deployment)
        except BaseException as raised:
            error = raised
        return await undisturbed(self._end(deployment, error, started))

    async def _begin(self) -> Deployment:
        info = workflow.info()
        deployment = await workflow.execute_local_activity_method(
            Recording.begin_change,
            Begin(
                app=self._request.app,
                cause=self._request.cause,
                workflow_id=info.workflow_id,
                run_id=info.run_id,
                git=self._request.git,
            ),
            **LOCAL,
        )
        self.story.began(deployment.id)
        found_by(app=deployment.app, cause=deployment.cause, node=deployment.node)
        return deployment

    async def _carry_out(self, deployment: Deployment) -> None:
        if self._kind == "deploy" and self._request.revision is None:
            self._commit = await self._bring_code(deployment)
        while (seen := await self._reached(deployment)) is not None:
            await self._clear_failed(deployment)
            self._request = self._request.model_copy(update={"observed": self._request.observed | seen.observed})
        if self._kind == "delete":
            self._step("forgetting")
            # Without its sources it can't be brought back any more.
            await undisturbed(self._forget(deployment))

    async def _reached(self, deployment: Deployment) -> Failure | None:
        """Once all runs; or what a start has shown that was not known before, with which another plan may do."""
        self._step("planning")
        self._plan = await self._prepare(deployment, self._request, self._kind)
        self.story.planned(self._plan)
        found_by(revision=self._plan.revision)
        self._step(_DOING[self._kind])
        await self._take_from_watch(self._plan)
        self._execution = Execution(self._plan, deployment.id, deployment.epoch, self.story.phase)
        try:
            await self._execution.run()
        except ActivityError as error:
            stop_if_cancelled()
            failure = failure_of(error)
            known = failure.observed.keys() <= self._request.observed.keys()
            if known or self._request.revision is not None:
                raise
            return failure
        stop_if_cancelled()  # heard together with the end of the last operation
        return None

    def _step(self, step: str) -> None:
        stop_if_cancelled()
        self.story.step(step)

    async def _bring_code(self, deployment: Deployment) -> str:
        """Import and analyse; both return at once what is known already. Returns the commit."""
        queue = node_queue(deployment.node)
        if self._request.fetch or self._request.git:
            self._step("importing")
            imported = await on_node(
                queue,
                Sourcing.import_source,
                ImportRequest(app=self._request.app, git=self._request.git),
                summary="fetch the code",
                options=SOURCE,
            )
            commit = imported.commit
        else:
            commit = ""
        asked = AnalyzeRequest(app=self._request.app, commit=commit)
        if known := await workflow.execute_local_activity_method(Recording.analysed_commit, asked, **LOCAL):
            return known
        self._step("analysing")
        analysed = await on_node(
            queue,
            Analyzing.analyze_source,
            asked,
            summary="find components and edges",
            options=ANALYZE,
        )
        return analysed.commit

    async def _prepare(self, deployment: Deployment, request: ChangeRequest, kind: ChangeKind) -> Plan:
        asked = Prepare(deployment=deployment, request=request, kind=kind, commit=self._commit)
        return await self._planned(asked, PREPARE)

    async def _planned(self, asked: Prepare, options: Options) -> Plan:
        what = "plan, place, reserve"
        plan = await at_hand(Planning.prepare_change, asked, summary=what) or await on_node(
            node_queue(asked.deployment.node), Planning.prepare_change, asked, summary=what, options=options
        )
        assert plan is not None, "its own node has taken it up"
        return plan

    async def _end(self, deployment: Deployment, error: BaseException | None, started: datetime) -> ChangeResult:
        status: DeploymentStatus = "succeeded"
        failure: Failure | None = None
        if error is not None:
            status = "cancelled" if was_cancelled() and is_cancelled_exception(error) else "failed"
            failure = failure_of(error) if status == "failed" else None
            status, failure = await self._compensate(deployment, status, failure)
        return await self._finish(deployment, status, failure, (workflow.now() - started).total_seconds())

    async def _compensate(
        self, deployment: Deployment, status: DeploymentStatus, failure: Failure | None
    ) -> tuple[DeploymentStatus, Failure | None]:
        """Back to what ran before, unless what has come up is to stay for a retry. Returns what to record."""
        if failure:
            self.story.failed(failure)
        if self._plan is None or not (
            self._kind == "deploy" or (status == "cancelled" and self._took_away(self._plan))
        ):
            return status, failure
        try:
            if status == "failed" and self._holds(self._plan):
                await self._clear_failed(deployment)
                return status, failure
            self.story.step("rolling back")
            await self._roll_back(deployment, self._plan)
        except BaseException as error:
            status, failure = "failed", _with_second(failure, failure_of(error))
        else:
            status = "cancelled" if status == "cancelled" else "rolled-back"
        left = self.story.progress.not_undone
        return status, failure.model_copy(update={"not_undone": left}) if failure else None

    def _took_away(self, plan: Plan) -> bool:
        """A stop or a deletion, which may find nothing to end; one that fails is tried again instead of undone."""
        begun = self._execution.begun if self._execution else set()
        return any(operation.kind == "remove" and operation.id in begun for operation in plan.operations)

    def _holds(self, plan: Plan) -> bool:
        if self._request.on_failure == "auto":
            return plan.previous_revision == 0
        return self._request.on_failure == "hold"

    async def _roll_back(self, deployment: Deployment, plan: Plan) -> None:
        """The plan from what is there now to the old revision, or to nothing when there was none."""
        back = self._request.model_copy(
            update={"revision": plan.previous_revision or None, "components": (), "cause": "rollback"}
        )
        kind: ChangeKind = "deploy" if plan.previous_revision else "stop"
        asked = Prepare(deployment=deployment, request=back, kind=kind, compensation=True, undoes=plan.revision)
        undo: Execution | None = None
        try:
            taken_back = await self._planned(asked, undoing(PREPARE))
            undo = Execution(taken_back, deployment.id, deployment.epoch, self.story.undone, undoing=True)
            await undo.run()
        finally:
            self.story.left(left(self._execution, undo))

    async def _clear_failed(self, deployment: Deployment) -> None:
        """What failed is not left running half-way; its last lines are kept with the failure."""
        removals = tuple(
            operation.model_copy(update={"kind": "remove", "after": (), "reason": "did not come up"})
            for operation in (self._execution.failed if self._execution else ())
            if operation.kind in ("deploy", "ready")
        )
        operations = (*removals, *self._releases(removals))
        plan = Plan(app=deployment.app, revision=0, cause="rollback", operations=operations)
        await Execution(plan, deployment.id, deployment.epoch, lambda *_: None).run()

    def _releases(self, removals: tuple[Operation, ...]) -> tuple[Operation, ...]:
        """Nor is a network left in which nothing runs."""
        runs = any(row.phase in ("healthy", "completed", "kept") for row in self.story.progress.components)
        if runs or (self._plan and self._plan.previous_revision):
            return ()
        places = {operation.provider_id: operation for operation in removals}
        after = tuple(operation.id for operation in removals)
        return tuple(
            Operation(id=f"release.{id}", kind="release", provider_id=id, queue=removal.queue, after=after)
            for id, removal in places.items()
        )

    async def _finish(
        self, deployment: Deployment, status: DeploymentStatus, failure: Failure | None, duration_s: float
    ) -> ChangeResult:
        # By whoever has the run: that the node of the change is absent has to be recorded, too.
        result = await workflow.execute_local_activity_method(
            Recording.finish_change,
            Outcome(
                deployment=deployment,
                kind=self._kind,
                status=status,
                progress=self.story.ending(status, failure),
                failure=failure,
                notes=self._plan.notes if self._plan else (),
                duration_s=duration_s,
            ),
            summary=f"record: {status}",
            **END,
        )
        await self._leave_to_watch(status)
        self.story.ended(status, failure)
        if failure:
            raise typed(failure)
        if status == "cancelled":
            raise asyncio.CancelledError
        return result

    async def _take_from_watch(self, plan: Plan) -> None:
        """The watch is there before the first instance is: one that dies meanwhile is mended afterwards."""
        hold = Hold(run_id=workflow.info().run_id, components=self._touched(plan))
        if self._kind == "deploy":
            app = self._request.app
            await workflow.execute_local_activity_method(Watching.ensure_watch, args=[app, hold], **LOCAL)
        else:
            await self._tell_watch(hold)

    async def _leave_to_watch(self, status: DeploymentStatus) -> None:
        if self._plan is None:
            return
        if self._kind == "deploy":
            nothing_runs = status in ("cancelled", "rolled-back") and not self._plan.previous_revision
        else:
            nothing_runs = status == "succeeded"
        if nothing_runs:
            await self._tell_watch(None)
        else:
            await self._tell_watch(Hold(run_id=workflow.info().run_id, release=True))

    async def _tell_watch(self, hold: Hold | None) -> None:
        app = self._request.app
        await workflow.execute_local_activity_method(Watching.tell_watch, args=[app, hold], **LOCAL)

    def _touched(self, plan: Plan) -> tuple[str, ...]:
        return tuple(sorted({op.component for op in plan.operations if op.component})) or ("-",)

    async def _forget(self, deployment: Deployment) -> None:
        await on_node(
            node_queue(deployment.node),
            Sourcing.forget_source,
            self._request,
            summary="remove sources, images and secrets",
            options=REMOVE,
        )


def _with_second(failure: Failure | None, second: Failure) -> Failure:
    """The failure of a change that could not be undone either."""
    if failure is None:
        return second.model_copy(update={"message": f"It was cancelled, and undoing it failed: {second.message}"})
    first = failure.message.removesuffix(".")
    return failure.model_copy(update={"message": f"{first}. Undoing it failed, too: {second.message}"})
