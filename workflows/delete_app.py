"""`DeleteApp`, under the ID `change.{app}`."""

from temporalio import workflow

from iarnet.models.change import ChangeRequest, ChangeResult, Progress
from workflows.change import Change
from workflows.refusals import one_input


@workflow.defn
class DeleteApp:
    """End an application and forget it."""

    @one_input
    def __init__(self, request: ChangeRequest) -> None:
        self._change = Change("delete", request)

    @workflow.run
    async def run(self, request: ChangeRequest) -> ChangeResult:
        return await self._change.run()

    @workflow.query
    def progress(self) -> Progress:
        return self._change.story.progress
