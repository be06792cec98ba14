"""Would today's code take the decisions that a recorded run took?"""

from collections.abc import Sequence

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Replayer

from iarnet.errors import NotFound
from iarnet.models.change import ReplayReport
from workers.catalogue import WORKFLOWS
from workers.converter import CONVERTER
from workers.sandbox import runner
from workflows.refusals import RunInterceptor


def replayer(workflows: Sequence[type] = WORKFLOWS) -> Replayer:
    return Replayer(
        workflows=list(workflows),
        workflow_runner=runner(),
        data_converter=CONVERTER,
        interceptors=[RunInterceptor()],
    )


async def replay(
    client: Client, workflow_id: str, run_id: str | None, workflows: Sequence[type] = WORKFLOWS
) -> ReplayReport:
    """Raises `NotFound`."""
    handle = client.get_workflow_handle(workflow_id, run_id=run_id)
    try:
        history = await handle.fetch_history()
    except RPCError as error:
        if error.status in (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT):
            raise NotFound(
                f"Temporal has no run of {workflow_id}.",
                where=workflow_id,
                hint="Histories are kept for 30 days; `temporal workflow list` shows what there is.",
            ) from error
        raise
    result = await replayer(workflows).replay_workflow(history, raise_on_replay_failure=False)
    difference = str(result.replay_failure) if result.replay_failure else ""
    run = history.run_id or run_id or ""
    return ReplayReport(workflow_id=workflow_id, run_id=run, same=not difference, difference=difference)
