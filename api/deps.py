"""What the routes get from the process that they run in."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Request

from api.runs import Runs
from api.services import Services
from api.starter import Starter


def services(request: Request) -> Services:
    found: Services = request.app.state.services
    return found


Given = Annotated[Services, Depends(services)]


def starter(given: Given) -> Starter:
    return Starter(
        client=given.temporal,
        facts=given.store.facts,
        task_queue=given.task_queue,
        namespace=given.namespace,
        node=given.node,
        ui=given.temporal_ui,
    )


def runs(given: Given) -> Runs:
    return Runs(client=given.temporal, store=given.store)


async def turn(request: Request) -> AsyncIterator[None]:
    """For writes that are checked against what the last one left: they go one after the other."""
    async with request.app.state.turn:
        yield


Start = Annotated[Starter, Depends(starter)]
Watch = Annotated[Runs, Depends(runs)]
Turn = Annotated[None, Depends(turn, scope="function")]
