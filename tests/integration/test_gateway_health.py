"""Who gets requests by what Envoy's own checks find, and who hears of that."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import httpx
import pytest

from iarnet.errors import GatewayUnavailable
from iarnet.gateway import process
from iarnet.gateway.clusters import IDLE_S
from iarnet.models.component import HealthCheck
from tests.integration.gateway_world import (
    GIT,
    PROVIDER,
    WITHIN_S,
    GatewayWorld,
    Load,
    Replica,
    ask,
    eventually,
    gateway_world,
    instance,
)
from tests.integration.health_server import NOT_SERVING, SERVING, HealthServer

TCP = HealthCheck(type="tcp", interval_s=0.4, timeout_s=WITHIN_S, retries=2)


def http(path: str, timeout_s: float = WITHIN_S) -> HealthCheck:
    return HealthCheck(type="http", path=path, interval_s=0.4, timeout_s=timeout_s, retries=2)


HANGS = http("/slow", timeout_s=1.0)
"""Soon noticed, and yet not mistaken for a machine that is busy."""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[GatewayWorld]:
    async with gateway_world(tmp_path) as made:
        yield made


async def well(world: GatewayWorld, number: int = 0, *, admitted: bool = True) -> Replica:
    """One whose `/slow` is quick, until `go` is cleared."""
    made = await world.replica(number, admitted=False)
    made.go.set()
    if admitted:
        await world.gateway.admit(instance(made))
    return made


async def eventually_silent(world: GatewayWorld, replica: Replica, *, silent: bool = True) -> None:
    """As the node hears it."""

    async def seen() -> bool:
        return (await world.gateway.checks()).get(replica.name) is not silent

    await eventually(seen)


async def test_one_that_hangs_leaves_and_comes_back(world: GatewayWorld) -> None:
    await world.serve(world.service(health=HANGS))
    first, second = await well(world), await well(world, 1)
    async with Load(world.url) as load:
        await load.more()
        first.go.clear()
        await eventually_silent(world, first)
        assert not (await world.loads())[first.name].healthy
        before = first.asked
        await load.more()
        assert first.asked == before
        first.go.set()
        await eventually_silent(world, first, silent=False)
        assert (await world.loads())[first.name].healthy
        await load.more()
        assert first.asked > before
    assert load.failed == []
    assert load.answers[second.name] > 0


async def test_one_that_answers_with_a_failure_leaves_and_comes_back(world: GatewayWorld) -> None:
    await world.serve(world.service(health=http("/ill")))
    first, second = await world.replica(), await world.replica(1)
    first.ill = True
    await eventually_silent(world, first)
    assert {await ask(world.url) for _ in range(10)} == {second.name}
    first.ill = False
    await eventually_silent(world, first, silent=False)
    assert {await ask(world.url) for _ in range(40)} == {first.name, second.name}


async def test_one_failure_alone_is_none(world: GatewayWorld) -> None:
    """Also an answer with 500, for which Envoy would not wait for a second one by itself."""
    check = http("/ill").model_copy(update={"retries": 1000})
    await world.serve(world.service(health=check))
    first = await world.replica()
    first.ill = True
    seen = len(first.checks)
    await eventually(lambda: len(first.checks) > seen + 3)
    assert await ask(world.url) == first.name


async def test_what_can_be_connected_to_is_well_by_tcp(world: GatewayWorld) -> None:
    await world.serve(world.service(protocol="tcp", health=TCP))
    first, second = await world.replica(), await world.replica(1)
    await first.stop()
    await eventually_silent(world, first)
    assert (await world.gateway.checks())[second.name]
    await first.start()
    await eventually_silent(world, first, silent=False)


async def test_who_says_by_grpc_that_it_is_not_serving_leaves_and_comes_back(world: GatewayWorld) -> None:
    check = HealthCheck(type="grpc", service="shop.Api", interval_s=0.4, timeout_s=WITHIN_S, retries=2)
    await world.serve(world.service(protocol="grpc", health=check))
    servers = [HealthServer(f"127.0.0.{n + 2}", world.port) for n in range(2)]
    replicas = [Replica(f"iarnet-shop-api-r{n + 1}-0", f"127.0.0.{n + 2}", world.port) for n in range(2)]
    for server, replica in zip(servers, replicas, strict=True):
        server.states = {"shop.Api": SERVING}
        await server.start()
        await world.gateway.admit(instance(replica))
    both = {replica.address for replica in replicas}
    assert await _names(world.port) == both
    servers[0].states["shop.Api"] = NOT_SERVING
    await eventually_well(world, replicas[0], well=False)
    assert await _names(world.port) == {replicas[1].address}
    assert await world.gateway.checks() == {}, "our own probe says who is to be mended"
    servers[0].states["shop.Api"] = SERVING
    await eventually_well(world, replicas[0], well=True)
    assert await _names(world.port) == both
    assert {service for server in servers for service in server.asked} == {"shop.Api"}
    for server in servers:
        await server.stop()


async def test_when_nobody_is_well_nobody_is_asked(world: GatewayWorld) -> None:
    await world.serve(world.service(health=HANGS))
    first = await well(world)
    first.go.clear()
    await eventually_silent(world, first)
    before = first.asked
    assert await ask(world.url) == "503"
    assert first.asked == before


async def test_it_asks_as_our_own_probe_does(world: GatewayWorld) -> None:
    await world.serve(world.service(health=http("/health?deep=1")))
    first = await world.replica()
    head = first.checks[0].decode().lower()
    assert head.startswith("get /health?deep=1 http/1.1\r\n")
    assert f"\r\nhost: {first.address}:{first.port}\r\n" in head
    assert "envoy" not in head


async def test_an_answer_may_take_longer_than_a_connection_may_be_idle(world: GatewayWorld) -> None:
    slow = await asyncio.start_server(_answers_late, "127.0.0.2", world.port)
    await world.serve(world.service(health=http("/")))
    await world.gateway.admit(instance(Replica("iarnet-shop-api-r1-0", "127.0.0.2", world.port)))
    assert await ask(world.url) == "late"
    slow.close()


async def test_instances_that_are_replaced_under_load_take_over_at_once(world: GatewayWorld) -> None:
    await world.serve(world.service(health=http("/")))
    replica = await world.replica()
    assert await ask(world.url) == replica.name
    async with Load(world.url) as load:
        for number in range(1, 6):
            await load.more(50)
            successor = await world.replica(number)
            await world.gateway.drain(replica.name, WITHIN_S)
            await replica.stop()
            replica = successor
        await load.more(50)
    assert load.failed == []
    assert load.answers[replica.name] > 0


async def test_a_check_that_is_new_or_changed_under_load_leaves_no_gap(world: GatewayWorld) -> None:
    await world.serve()
    first, second = await well(world), await well(world, 1)
    async with Load(world.url) as load:
        for check in (http("/"), HANGS, TCP, None, HANGS):
            await world.serve(world.service(health=check))
            await load.more(50)
        first.go.clear()
        await eventually_silent(world, first)
        before = first.asked
        await load.more(50)
        assert first.asked == before
    assert load.failed == []
    assert load.answers[second.name] > 0


async def test_requests_wait_until_a_successor_has_passed_its_check(world: GatewayWorld) -> None:
    await world.serve(world.service(health=http("/slow")))
    first = await well(world)
    second = await world.replica(1, admitted=False)
    async with Load(world.url) as load:
        await load.more(50)
        await world.gateway.drain(first.name, WITHIN_S, hold=True)
        await first.stop()
        admission = asyncio.create_task(world.gateway.admit(instance(second)))
        await eventually(lambda: len(second.checks) > 0)
        answered = load.total
        await eventually(lambda: tried(world, 40))
        assert not admission.done()
        assert load.total == answered
        second.go.set()
        await admission
        await load.more(50)
    assert load.failed == []
    assert [e.instance for e in await world.store.traffic.endpoints("shop")] == [second.name]


async def test_the_end_of_one_that_makes_room_changes_nothing(world: GatewayWorld) -> None:
    """Its engine tells that it has died, and requests wait all the same."""
    await world.serve(world.service(health=TCP))
    first, other = await world.replica(), await world.replica(1)
    await world.gateway.drain(other.name, 0.2, hold=True)
    await world.gateway.drain(first.name, WITHIN_S, hold=True)
    await world.gateway.suspend(first.name)
    assert {e.state for e in await world.store.traffic.endpoints("shop")} == {"held"}
    async with Load(world.url) as load:
        await eventually(lambda: tried(world, 20))
        await world.gateway.admit(instance(first))
        await load.more(50)
    assert load.failed == []


async def test_one_that_drains_is_not_suspended(world: GatewayWorld) -> None:
    await world.serve()
    first = await world.replica()
    slow = asyncio.create_task(ask(f"{world.url}/slow"))
    await first.busy.wait()
    draining = asyncio.create_task(world.gateway.drain(first.name, WITHIN_S))
    await eventually(lambda: state_is(world, "draining"))
    await world.gateway.suspend(first.name)
    assert await state_is(world, "draining")
    first.go.set()
    await draining
    assert await slow == first.name
    assert await world.store.traffic.endpoints("shop") == []


async def test_a_connection_outlives_the_suspicion_of_its_instance(world: GatewayWorld) -> None:
    await world.serve(world.service(protocol="tcp", health=TCP))
    first = await world.replica()
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    writer.write(b"GET / HTTP/1.1\r\nhost: api\r\nupgrade: websocket\r\n\r\n")
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    await world.gateway.suspend(first.name)
    await world.gateway.admit(instance(first))
    writer.write(b"still here")
    assert await reader.readexactly(10) == b"still here"
    writer.close()


async def test_what_does_not_pass_the_check_is_not_admitted(
    world: GatewayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("iarnet.gateway.envoy._SETTLE_S", 0.5)
    await world.serve(world.service(health=http("/ill", timeout_s=0.2)))
    first = await world.replica(admitted=False)
    first.ill = True
    with pytest.raises(GatewayUnavailable, match="does not pass the gateway's check") as refusal:
        await world.gateway.admit(instance(first))
    assert refusal.value.where == first.name
    first.ill = False
    await world.gateway.admit(instance(first))
    assert await ask(world.url) == first.name


async def test_one_that_dies_while_it_is_admitted_replaces_nobody(world: GatewayWorld) -> None:
    await world.serve(world.service(health=http("/slow")))
    first, second = await well(world), await world.replica(1, admitted=False)
    await world.gateway.drain(first.name, WITHIN_S, hold=True)
    admission = asyncio.create_task(world.gateway.admit(instance(second)))
    await eventually(lambda: len(second.checks) > 0)
    await world.gateway.suspend(second.name)
    await asyncio.wait_for(admission, WITHIN_S / 2)
    assert await world.gateway.checks() == {}
    states = {e.instance: e.state for e in await world.store.traffic.endpoints("shop")}
    assert states == {first.name: "held", second.name: "suspended"}


async def test_an_envoy_that_comes_back_waits_for_nobody_who_hangs(world: GatewayWorld) -> None:
    apps = [f"app{n}" for n in range(4)]
    for n, app in enumerate(apps):
        await world.store.apps.create(app, GIT)
        service = world.service(app=app, address=f"127.3.0.{n + 1}", health=http("/slow", timeout_s=60.0))
        await world.gateway.serve(app, PROVIDER, [service])
    hung = Replica("iarnet-app0-api-r1-0", "127.0.0.9", world.port)
    await hung.start()
    hung.go.set()
    await world.gateway.admit(instance(hung, app="app0"))
    hung.go.clear()
    await process.stop(world.where)
    world.envoy = await process.start(world.where)

    async def all_are_back() -> bool:
        return {await _answer(f"http://127.3.0.{n + 1}:{world.port}") for n in range(4)} == {hung.name, "503"}

    await eventually(all_are_back)
    assert await world.gateway.checks() == {hung.name: True}, "it has not failed yet"
    await hung.stop()


async def test_who_has_not_been_asked_yet_is_not_silent(world: GatewayWorld) -> None:
    await world.serve(world.service(health=http("/slow")))
    first, second = await well(world), await world.replica(1, admitted=False)
    admission = asyncio.create_task(world.gateway.admit(instance(second)))
    await eventually(lambda: len(second.checks) > 0)
    assert await world.gateway.checks() == {first.name: True, second.name: True}
    second.go.set()
    await admission


async def test_the_next_node_knows_who_hangs(world: GatewayWorld) -> None:
    await world.serve(world.service(health=HANGS))
    first, second = await well(world), await well(world, 1)
    first.go.clear()
    await eventually_silent(world, first)
    await world.node_ends()
    await world.node_begins()
    assert await world.gateway.checks() == {first.name: False, second.name: True}
    first.go.set()
    await eventually_silent(world, first, silent=False)


async def test_the_next_envoy_tells_who_hangs(world: GatewayWorld) -> None:
    await world.serve(world.service(health=HANGS))
    first, second = await well(world), await well(world, 1)
    await process.stop(world.where)
    first.go.clear()
    world.envoy = await process.start(world.where)
    await eventually_silent(world, first)
    assert (await world.gateway.checks())[second.name]


async def test_a_journal_that_is_begun_anew_loses_nobody(
    world: GatewayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("iarnet.gateway.transitions._LONGEST", 1)
    await world.serve(world.service(health=HANGS))
    first, second = await well(world), await well(world, 1)
    for _ in range(2):
        first.go.clear()
        await eventually_silent(world, first)
        assert (await world.gateway.checks())[second.name]
        first.go.set()
        await eventually_silent(world, first, silent=False)
    await eventually(lambda: world.where.journal.stat().st_size == 0)


async def tried(world: GatewayWorld, times: int) -> bool:
    return await world.tries() >= times


async def state_is(world: GatewayWorld, state: str) -> bool:
    return {e.state for e in await world.store.traffic.endpoints("shop")} == {state}


async def _answers_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    await asyncio.sleep(IDLE_S + 0.3)
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nlate")
    await writer.drain()
    writer.close()


async def eventually_well(world: GatewayWorld, replica: Replica, *, well: bool) -> None:
    async def seen() -> bool:
        return (await world.loads())[replica.name].healthy is well

    await eventually(seen)


async def _names(port: int) -> set[str]:
    """Who answers calls."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary("/shop.Api/Name")
        return {(await call(b"", timeout=WITHIN_S)).decode() for _ in range(40)}


async def _answer(url: str) -> str:
    try:
        return await ask(url)
    except httpx.TransportError:
        return ""
