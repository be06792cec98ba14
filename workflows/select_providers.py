"""`SelectProviders`, under the ID `select.{app}.{n}`: where would it run, and why not elsewhere?"""

from temporalio import workflow

from activities.options import LOCAL, PREPARE, node_queue
from activities.placing import Placing
from activities.planning import Planning
from iarnet.models.change import SelectRequest
from iarnet.models.placement import Placement
from workflows.attributes import found_by
from workflows.identity import require_id
from workflows.reaching import on_node


@workflow.defn
class SelectProviders:
    """Placement for hand use and what-if; with `reserve` the room is held for 60 s."""

    @workflow.run
    async def run(self, request: SelectRequest) -> Placement:
        require_id(f"select.{request.app}.*")
        node = await workflow.execute_local_activity_method(Placing.this_node, request.app, **LOCAL)
        found_by(app=request.app, node=node)
        return await on_node(
            node_queue(node), Planning.select_providers, request, summary="filter, score, choose", options=PREPARE
        )
