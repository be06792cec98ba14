"""What a careless change of a workflow looks like: it plans before it has brought the code."""

from temporalio import workflow

from iarnet.models.change import ChangeRequest, ChangeResult, Deployment, Progress
from workflows.change import Change
from workflows.refusals import one_input


class PlansFirst(Change):
    async def _bring_code(self, deployment: Deployment) -> None:
        await self._prepare(deployment, self._request, self._kind)
        await super()._bring_code(deployment)


@workflow.defn
class DeployApp:
    @one_input
    def __init__(self, request: ChangeRequest) -> None:
        self._change = PlansFirst("deploy", request)

    @workflow.run
    async def run(self, request: ChangeRequest) -> ChangeResult:
        return await self._change.run()

    @workflow.query
    def progress(self) -> Progress:
        return self._change.story.progress
