"""What leads traffic hears of routes and weights that were changed by way of another process."""

import asyncio

import structlog

from iarnet.errors import IarnetError
from iarnet.gateway.base import Gateway

_LOOK_S = 1.0

log = structlog.get_logger()


async def follow(gateway: Gateway) -> None:
    """Until cancelled. It costs a query a second, and more only when the version has risen."""
    problem = ""
    while True:
        await asyncio.sleep(_LOOK_S)
        try:
            await gateway.refresh()
            problem = ""
        except IarnetError as error:
            if error.message != problem:
                log.warning("traffic is not led as recorded", problem=error.message)
            problem = error.message
