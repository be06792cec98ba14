"""`ImportApp`, under the ID `import.{app}.{ref}`."""

from temporalio import workflow

from activities.options import LOCAL, SOURCE, node_queue
from activities.placing import Placing
from activities.sourcing import Sourcing
from iarnet.models.change import ImportRequest, ImportResult
from workflows.attributes import found_by
from workflows.identity import require_id
from workflows.reaching import on_node


@workflow.defn
class ImportApp:
    """Resolve the ref to a commit, fetch it, record it."""

    @workflow.run
    async def run(self, request: ImportRequest) -> ImportResult:
        require_id(f"import.{request.app}.*")
        node = await workflow.execute_local_activity_method(Placing.this_node, request.app, **LOCAL)
        found_by(app=request.app, node=node)
        return await on_node(
            node_queue(node), Sourcing.import_source, request, summary="fetch the code", options=SOURCE
        )
