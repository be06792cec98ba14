"""What goes through the gateway, for Prometheus."""

import asyncio

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse

from api.deps import Given
from api.errors import refusals
from api.exposition import CONTENT_TYPE, exposition
from iarnet.errors import GatewayError

router = APIRouter(tags=["node"])


@router.get(
    "/metrics",
    operation_id="getMetrics",
    summary="Requests, errors, durations, bytes and connections, for Prometheus",
    response_class=PlainTextResponse,
    responses=refusals(),
)
async def metrics(given: Given) -> PlainTextResponse:
    """Of every component and added route that the gateway of this node has led somebody to."""
    try:
        traffic, up = (await given.gateway.traffic(), True) if given.gateway else ([], False)
    except GatewayError:
        traffic, up = [], False
    text = await asyncio.to_thread(exposition, traffic, up=up)
    return PlainTextResponse(text, media_type=CONTENT_TYPE)
