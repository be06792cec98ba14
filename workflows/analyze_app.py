"""`AnalyzeApp`, under the ID `analyze.{app}.{commit}`."""

from temporalio import workflow

from activities.analyzing import Analyzing
from activities.options import ANALYZE, LOCAL, node_queue
from activities.placing import Placing
from iarnet.models.change import AnalyzeRequest, AnalyzeResult
from workflows.attributes import found_by
from workflows.identity import require_id
from workflows.reaching import on_node


@workflow.defn
class AnalyzeApp:
    """Components and edges of a commit, with the evidence."""

    @workflow.run
    async def run(self, request: AnalyzeRequest) -> AnalyzeResult:
        require_id(f"analyze.{request.app}.*")
        node = await workflow.execute_local_activity_method(Placing.this_node, request.app, **LOCAL)
        found_by(app=request.app, node=node)
        return await on_node(
            node_queue(node), Analyzing.analyze_source, request, summary="find components and edges", options=ANALYZE
        )
