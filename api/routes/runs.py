"""Following a run of a workflow."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import StreamingResponse

from api.deps import Watch
from api.errors import refusals
from api.runs import RunEnd
from api.streams import Message, stream, streaming
from iarnet.errors import Missing, NotFound
from iarnet.models.change import Progress

router = APIRouter(prefix="/runs/{workflow_id}/{run_id}", tags=["runs"])

WorkflowId = Annotated[str, Path(pattern=r"^[A-Za-z0-9._-]{1,255}$", examples=["change.shop"])]
RunId = Annotated[str, Path(pattern=r"^[A-Za-z0-9-]{1,64}$")]


@router.get(
    "", operation_id="getRun", summary="What a run does now, or how it ended", responses=refusals(NotFound, Missing)
)
async def progress(workflow_id: WorkflowId, run_id: RunId, watch: Watch) -> Progress:
    return await watch.progress(workflow_id, run_id)


@router.get(
    "/events",
    operation_id="followRun",
    summary="Each change of a run's progress, until `done`",
    response_class=StreamingResponse,
    responses=refusals(NotFound, Missing) | streaming("progress", "done"),
)
async def events(workflow_id: WorkflowId, run_id: RunId, watch: Watch) -> StreamingResponse:
    """`progress` carries a Progress; `done` carries `{progress, result}` and is the last."""
    await watch.check(workflow_id, run_id)
    return stream(_told(watch, workflow_id, run_id))


async def _told(watch: Watch, workflow_id: str, run_id: str) -> AsyncIterator[Message]:
    async for seen in watch.follow(workflow_id, run_id):
        yield Message("done" if isinstance(seen, RunEnd) else "progress", seen)
