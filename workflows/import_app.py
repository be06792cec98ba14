"""`ImportApp`, under the ID `import.{app}.{ref}`."""

from temporalio import workflow

from activities.options import LOCAL, SOURCE, node_queue
from activities.placing import Placing
from activities.sourcing import Sourcing
from iarnet.models.change import ImportRequest, ImportResult
from workflows.attributes import found_by
from workflows.identity import require_id


@workflow.defn
class ImportApp:
    """Resolve the ref to a commit, fetch it, record it."""

    @workflow.run
    async def run(self, request: ImportRequest) -> ImportResult:
        require_id(f"import.{request.app}.*")
        node = await workflow.execute_local_activity_method(Placing.this_node, **LOCAL)
        found_by(app=request.app, node=node)
        return await workflow.execute_activity_method(
            Sourcing.import_source, request, task_queue=node_queue(node), summary="fetch the code", **SOURCE
        )
