"""Several apps at once, of which Envoy refuses one."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from iarnet.errors import GatewayRefused
from iarnet.gateway.resources import Resources, resources
from iarnet.models.traffic import Backend, Route
from tests.integration.gateway_world import GIT, PROVIDER, WITHIN_S, GatewayWorld, ask, gateway_world


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


async def test_who_refreshes_hears_of_its_own_app_alone(world: GatewayWorld) -> None:
    """One other can't take its port any more."""
    await world.serve()
    replica = await world.replica()
    for app in ("other", "third"):
        await world.store.apps.create(app, GIT)
    with socket.socket() as taken:
        taken.bind(("127.0.3.6", 0))
        taken.listen()
        port = taken.getsockname()[1]
        others = {
            app: world.service(app=app, address=f"127.0.3.{n}", port=port) for app, n in (("other", 6), ("third", 7))
        }
        for app, service in others.items():
            await world.store.traffic.serve(app, PROVIDER, [service])
        to = (Backend(component="api"),)
        await world.store.traffic.put_route(Route(id="new", app="shop", component="api", path="/new", to=to))
        await world.gateway.refresh("shop")
        with pytest.raises(GatewayRefused, match=f"127.0.3.6:{port}"):
            await world.gateway.refresh("other")
        await world.gateway.suspend("iarnet-shop-nobody-r1-0")
    assert await ask(f"http://127.0.3.7:{port}") == "503", "it was taken over, although another was refused"
    assert await ask(f"{world.url}/new") == replica.name


def served(world: GatewayWorld, app: str, address: str, port: int) -> Resources:
    return resources([world.service(app=app, address=address, port=port)], (), (), publish_address="127.0.0.1")
