"""What a component is spared: more than it can do at a time, and instances that fail."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from iarnet.models.component import Ejection, HealthCheck, Limits
from iarnet.models.traffic import Breaker
from tests.integration.gateway_world import (
    WITHIN_S,
    GatewayWorld,
    Replica,
    ask,
    eventually,
    gateway_world,
)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[GatewayWorld]:
    async with gateway_world(tmp_path) as made:
        yield made


async def eventually_told(world: GatewayWorld, expected: Breaker) -> None:
    async def told() -> bool:
        return await world.gateway.breakers("shop") == [expected]

    await eventually(told)


async def test_more_requests_than_allowed_are_turned_away_and_that_is_told(world: GatewayWorld) -> None:
    service = world.service(limits=Limits(requests=2))
    await world.serve(service)
    replica = await world.replica()
    await eventually_told(world, Breaker(service=service.name))
    slow = [asyncio.create_task(ask(f"{world.url}/slow")) for _ in range(2)]
    await eventually_told(world, Breaker(service=service.name, full=("requests",)))
    assert [await ask(world.url) for _ in range(3)] == ["503"] * 3
    await eventually_told(world, Breaker(service=service.name, full=("requests",), refused_total=3))
    replica.go.set()
    assert await asyncio.gather(*slow) == [replica.name] * 2
    await eventually_told(world, Breaker(service=service.name, refused_total=3))
    await world.serve(world.service())
    assert await world.gateway.breakers() == []
    assert {await ask(world.url) for _ in range(3)} == {replica.name}


async def test_more_connections_than_allowed_are_closed(world: GatewayWorld) -> None:
    service = world.service(protocol="tcp", limits=Limits(connections=1))
    await world.serve(service)
    await world.replica()
    _, first = await asyncio.open_connection("127.0.0.1", world.port)
    await eventually_told(world, Breaker(service=service.name, full=("connections",)))
    reader, second = await asyncio.open_connection("127.0.0.1", world.port)
    assert await asyncio.wait_for(reader.read(1), WITHIN_S) == b""
    for writer in (first, second):
        writer.close()
    await eventually_told(world, Breaker(service=service.name, refused_total=1))


@pytest.mark.parametrize("health", [None, HealthCheck(type="http", path="/", interval_s=0.2)])
async def test_one_that_fails_in_a_row_gets_nothing_for_a_while(
    world: GatewayWorld, health: HealthCheck | None
) -> None:
    """Also when it answers its check."""
    await world.serve(world.service(ejection=Ejection(after=3, for_s=1.5), health=health))
    first, second = await world.replica(), await world.replica(1)
    first.ill = True
    await eventually_ejected(world, first)
    before = first.asked, len(first.checks)
    assert {await ask(f"{world.url}/ill") for _ in range(20)} == {second.name}
    if health:
        await eventually(lambda: len(first.checks) > before[1] + 1)
        assert {await ask(f"{world.url}/ill") for _ in range(20)} == {second.name}
    assert first.asked == before[0]
    first.ill = False

    async def back() -> bool:
        return (await world.loads())[first.name].healthy

    await eventually(back)
    assert {await ask(world.url) for _ in range(40)} == {first.name, second.name}


async def test_the_last_one_is_never_ejected(world: GatewayWorld) -> None:
    await world.serve(world.service(ejection=Ejection(after=1, for_s=60)))
    replica = await world.replica()
    replica.ill = True
    answers = Counter([await ask(f"{world.url}/ill") for _ in range(20)])
    assert answers == {"500": 20}
    assert await ask(world.url) == replica.name


async def eventually_ejected(world: GatewayWorld, replica: Replica) -> None:
    async def ejected() -> bool:
        await ask(f"{world.url}/ill")
        return (await world.loads())[replica.name].ejected

    await eventually(ejected)
