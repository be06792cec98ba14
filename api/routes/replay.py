"""Would today's code do what a recorded run did?"""

from fastapi import APIRouter

from api.bodies import ReplayBody
from api.deps import Given
from api.errors import refusals
from iarnet.errors import Missing, NotFound
from iarnet.models.change import ReplayReport

router = APIRouter(tags=["runs"])


@router.post(
    "/replay",
    operation_id="replayRun",
    summary="Replay a run's history against today's code and report any difference",
    responses=refusals(NotFound, Missing),
)
async def replay(body: ReplayBody, given: Given) -> ReplayReport:
    return await given.replay(body.workflow_id, body.run_id)
