"""`PlanChange`, under the ID `plan.{app}.{n}`: what a change would do, without doing it."""

from temporalio import workflow

from activities.analyzing import Analyzing
from activities.options import ANALYZE, LOCAL, PREPARE, SOURCE, node_queue
from activities.placing import Placing
from activities.planning import Planning
from activities.sourcing import Sourcing
from iarnet.models.change import AnalyzeRequest, ChangeRequest, Deployment, ImportRequest
from iarnet.models.plan import Plan
from iarnet.models.work import Prepare
from workflows.attributes import found_by
from workflows.identity import require_id
from workflows.reaching import on_node


@workflow.defn
class PlanChange:
    """Fetches and analyses like a deployment, then plans; nothing is reserved, claimed or changed."""

    @workflow.run
    async def run(self, request: ChangeRequest) -> Plan:
        require_id(f"plan.{request.app}.*")
        node = await workflow.execute_local_activity_method(Placing.this_node, request.app, **LOCAL)
        found_by(app=request.app, cause=request.cause, node=node)
        commit = await self._bring_code(request, node) if request.revision is None else ""
        plan = await on_node(
            node_queue(node),
            Planning.prepare_change,
            Prepare(deployment=_nothing(request, node), request=request, commit=commit, dry_run=True),
            summary="plan and place",
            options=PREPARE,
        )
        assert plan is not None, "its own node has taken it up"
        return plan

    async def _bring_code(self, request: ChangeRequest, node: str) -> str:
        """The commit that was analysed."""
        commit = ""
        if request.fetch or request.git:
            imported = await on_node(
                node_queue(node),
                Sourcing.import_source,
                ImportRequest(app=request.app, git=request.git),
                summary="fetch the code",
                options=SOURCE,
            )
            commit = imported.commit
        analysed = await on_node(
            node_queue(node),
            Analyzing.analyze_source,
            AnalyzeRequest(app=request.app, commit=commit),
            summary="find components and edges",
            options=ANALYZE,
        )
        return analysed.commit


def _nothing(request: ChangeRequest, node: str) -> Deployment:
    """A plan is made for a deployment; this one is never begun."""
    info = workflow.info()
    return Deployment(
        id=info.workflow_id,
        app=request.app,
        number=0,
        epoch=0,
        cause=request.cause,
        workflow_id=info.workflow_id,
        run_id=info.run_id,
        node=node,
        started_at=workflow.now(),
    )
