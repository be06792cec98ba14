"""The story of an application, line by line."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse

from api.bodies import MAX_ID
from api.deps import Given
from api.errors import refusals
from api.streams import Message, stream, streaming
from iarnet.errors import NotFound
from iarnet.models.app import Event
from iarnet.models.base import AppName, Value

router = APIRouter(prefix="/apps/{app}/events", tags=["events"])

LOOK_S = 0.5


class Events(Value):
    events: list[Event]


@router.get(
    "",
    operation_id="listEvents",
    summary="What happened to an application, oldest first; with `follow`, also what happens next",
    response_model=Events,
    responses=refusals(NotFound) | streaming("event", also=Events),
)
async def events(
    app: AppName,
    given: Given,
    after: int = Query(0, ge=0, le=MAX_ID),
    limit: int = Query(200, ge=1, le=1000),
    follow: bool = False,
    last_event_id: Annotated[str | None, Header(pattern=r"^\d{1,9}$")] = None,
) -> Events | StreamingResponse:
    """Those of a deleted application too. `after` and the header `Last-Event-ID` say where to go on."""
    after = max(after, int(last_event_id or 0))
    found = await given.store.facts.events(app, after=after, limit=limit)
    if not found:
        await given.store.apps.get(app)
    return stream(_told(given, app, after)) if follow else Events(events=found)


async def _told(given: Given, app: str, after: int) -> AsyncIterator[Message]:
    while True:
        for event in await given.store.facts.events(app, after=after):
            yield Message("event", event, id=str(event.id))
            after = event.id
        await asyncio.sleep(LOOK_S)
