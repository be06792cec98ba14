"""Several apps at once, of which Envoy refuses one."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from iarnet.errors import GatewayRefused
from iarnet.gateway.resources import Resources, resources
from tests.integration.gateway_world import WITHIN_S, GatewayWorld, ask, gateway_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[GatewayWorld]:
    async with gateway_world(tmp_path) as made:
        yield made


async def test_one_that_is_refused_keeps_nothing_from_the_others(world: GatewayWorld) -> None:
    await world.serve()
    replica = await world.replica()
    with socket.socket() as other:
        other.bind(("127.0.3.6", 0))
        other.listen()
        port = other.getsockname()[1]
        goals = {f"app{n}": served(world, f"app{n}", f"127.0.3.{n + 1}", port) for n in range(10)}
        for app, goal in goals.items():  # before anything can be sent
            world.ads.put(app, goal)
        done = await asyncio.gather(*(world.ads.settled(app, WITHIN_S) for app in goals), return_exceptions=True)
    refused = {app: error for app, error in zip(goals, done, strict=True) if error is not None}
    assert refused.keys() == {"app5"}
    assert isinstance(refused["app5"], GatewayRefused)
    assert refused["app5"].where == f"app5/127.0.3.6:{port}/tcp"
    assert await ask(world.url) == replica.name
    world.ads.put("app5", goals["app5"])
    await world.ads.settled("app5", WITHIN_S)


def served(world: GatewayWorld, app: str, address: str, port: int) -> Resources:
    return resources([world.service(app=app, address=address, port=port)], (), (), publish_address="127.0.0.1")
