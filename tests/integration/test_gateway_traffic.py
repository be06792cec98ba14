"""Where requests go while instances come and go."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from iarnet.models.traffic import Backend, Route
from tests.integration.gateway_world import (
    PROVIDER,
    WITHIN_S,
    GatewayWorld,
    Load,
    Replica,
    ask,
    eventually,
    eventually_closed,
    free_port,
    gateway_world,
    instance,
)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[GatewayWorld]:
    async with gateway_world(tmp_path) as made:
        yield made


async def test_requests_reach_an_admitted_instance(world: GatewayWorld) -> None:
    published = free_port()
    await world.serve(world.service(host_port=published))
    first = await world.replica()
    assert await ask(world.url) == first.name
    assert await ask(f"http://127.0.0.1:{published}") == first.name
    [load] = await world.gateway.loads()
    assert (load.instance, load.requests_total, load.requests, load.healthy) == (first.name, 2, 0, True)


async def test_a_swap_under_load_loses_nothing(world: GatewayWorld) -> None:
    await world.serve()
    first = await world.replica()
    async with Load(world.url) as load:
        await load.more()
        second = await world.replica(1)
        await load.more()
        await world.gateway.drain(first.name, WITHIN_S)
        await first.stop()
        await load.more()
    assert load.failed == []
    assert load.answers[first.name] > 0
    assert load.answers[second.name] > 0
    assert [e.instance for e in await world.store.traffic.endpoints("shop")] == [second.name]


async def test_a_suspended_one_gets_nothing_until_it_is_admitted_again(world: GatewayWorld) -> None:
    await world.serve()
    first, second = await world.replica(), await world.replica(1)
    async with Load(world.url) as load:
        await load.more()
        await world.gateway.suspend(first.name)
        before = first.asked
        await load.more()
        assert first.asked <= before + 8  # what was on its way
        await world.gateway.admit(instance(first))
        await eventually(lambda: first.asked > before + 20)
    assert load.failed == []
    assert load.answers[second.name] > 0


async def test_an_instance_gets_the_weight_it_was_given_also_at_a_new_address(world: GatewayWorld) -> None:
    await world.serve()
    first, second = await world.replica(), await world.replica(1, admitted=False)
    [endpoint] = await world.store.traffic.endpoints("shop")
    await world.store.traffic.put_endpoint(endpoint.model_copy(update={"weight": 7}))
    await world.gateway.refresh("shop")
    await world.gateway.admit(instance(first, address=second.address))
    [endpoint] = await world.store.traffic.endpoints("shop")
    assert (endpoint.weight, endpoint.address) == (7, second.address)
    assert await ask(world.url) == second.name


async def test_draining_waits_for_a_slow_request(world: GatewayWorld) -> None:
    await world.serve()
    first = await world.replica()
    slow = asyncio.create_task(ask(f"{world.url}/slow"))
    await first.busy.wait()
    second = await world.replica(1)
    draining = asyncio.create_task(world.gateway.drain(first.name, WITHIN_S))
    await eventually_draining(world, first.name)
    assert {await ask(world.url) for _ in range(10)} == {second.name}
    assert not draining.done()
    first.go.set()
    await draining
    assert await slow == first.name


async def test_draining_waits_for_an_upgraded_connection_until_its_time_is_over(world: GatewayWorld) -> None:
    await world.serve()
    first = await world.replica()
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    writer.write(b"GET / HTTP/1.1\r\nhost: api\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(world.gateway.drain(first.name, WITHIN_S), 0.5)
    writer.write(b"still here")
    assert await reader.readexactly(10) == b"still here"
    await world.gateway.drain(first.name, 0.2)
    assert await world.store.traffic.endpoints("shop") == []
    writer.close()


async def test_draining_ends_with_the_last_tcp_connection(world: GatewayWorld) -> None:
    await world.serve(world.service(protocol="tcp"))
    first = await world.replica()
    _, writer = await asyncio.open_connection("127.0.0.1", world.port)
    await eventually_busy(world, first.name)
    draining = asyncio.create_task(world.gateway.drain(first.name, WITHIN_S))
    await eventually_draining(world, first.name)
    assert not draining.done()
    writer.close()
    await draining


async def test_requests_wait_for_the_successor_of_one_that_makes_room(world: GatewayWorld) -> None:
    await world.serve()
    first = await world.replica()
    async with Load(world.url) as load:
        await load.more()
        await world.gateway.drain(first.name, WITHIN_S, hold=True)
        await first.stop()
        await eventually_tried_again(world, 40)
        second = await world.replica(1)
        await load.more()
    assert load.failed == []
    assert [e.instance for e in await world.store.traffic.endpoints("shop")] == [second.name]


async def test_a_route_says_how_often_a_request_is_sent_again(world: GatewayWorld) -> None:
    await world.serve()
    first = await world.replica()
    for path, retries in (("none", 0), ("few", 3), ("all", None)):
        to = (Backend(component="api"),)
        route = Route(id=path, app="shop", component="api", path=f"/{path}", to=to, retries=retries)
        await world.store.traffic.put_route(route)
    await world.gateway.refresh("shop")
    await world.gateway.drain(first.name, WITHIN_S, hold=True)
    await first.stop()
    for path, times in (("none", 1), ("few", 4)):
        before = await world.tries()
        assert await ask(f"{world.url}/{path}") == "503"
        assert await world.tries() - before == times
    waiting = asyncio.create_task(ask(f"{world.url}/all"))
    await eventually_tried_again(world, await world.tries() + 10)
    second = await world.replica(1)
    assert await waiting == second.name


async def test_what_is_not_served_or_has_no_address_is_not_admitted(world: GatewayWorld) -> None:
    await world.serve()
    first = await world.replica(admitted=False)
    await world.gateway.admit(instance(first, component="web"))
    await world.gateway.admit(instance(first, address=None))
    await world.gateway.admit(instance(first, provider_id="elsewhere"))
    await world.gateway.suspend("iarnet-shop-nothing-r1-0")
    await world.gateway.drain("iarnet-shop-nothing-r1-0", WITHIN_S)
    assert await world.store.traffic.endpoints() == []
    assert await ask(world.url) == "503"


async def test_a_route_that_somebody_else_records_counts_after_a_refresh(world: GatewayWorld) -> None:
    await world.serve()
    first, second = await world.replica(), await world.replica(1)
    to = (Backend(component="api", revision=2),)
    await world.store.traffic.put_route(Route(id="new", app="shop", component="api", path="/new", to=to))
    await world.gateway.refresh("shop")
    assert {await ask(f"{world.url}/new") for _ in range(10)} == {second.name}
    assert {await ask(world.url) for _ in range(20)} == {first.name, second.name}
    await world.store.traffic.delete_route("new")
    await world.gateway.refresh("shop")
    assert {await ask(f"{world.url}/new") for _ in range(20)} == {first.name, second.name}


async def test_routes_that_come_and_go_under_load_lose_nothing(world: GatewayWorld) -> None:
    await world.serve()
    await world.replica()
    to = (Backend(component="api", revision=1),)
    async with Load(world.url) as load:
        for _ in range(3):
            await world.store.traffic.put_route(Route(id="new", app="shop", component="api", path="/new", to=to))
            await world.gateway.refresh("shop")
            await load.more(100)
            await world.store.traffic.delete_route("new")
            await world.gateway.refresh("shop")
            await load.more(100)
    assert load.failed == []


async def test_a_route_to_a_component_that_is_gone_is_left_out(world: GatewayWorld) -> None:
    web = world.service("web", port=free_port())
    await world.serve(world.service(), web)
    first, other = await world.replica(), Replica("iarnet-shop-web-r1-0", "127.0.0.9", web.port)
    await other.start()
    await world.gateway.admit(instance(other, component="web"))
    route = Route(id="web", app="shop", component="api", path="/web", to=(Backend(component="web"),))
    await world.store.traffic.put_route(route)
    await world.gateway.refresh("shop")
    assert await ask(f"{world.url}/web") == other.name
    async with Load(f"{world.url}/web") as load:
        await load.more()
        await world.gateway.drain(other.name, WITHIN_S)
        await other.stop()
        await load.more()
        await world.serve(world.service())
        await load.more()
    assert (load.failed, set(load.answers)) == ([], {first.name, other.name})
    assert await ask(f"{world.url}/web") == await ask(world.url) == first.name
    await world.node_ends()
    await world.node_begins()
    assert await ask(f"{world.url}/web") == first.name


@pytest.mark.parametrize("hold", [False, True])
async def test_the_share_of_a_revision_that_ends_goes_to_the_others_and_no_request_is_lost(
    world: GatewayWorld, hold: bool
) -> None:
    await world.serve()
    first, second = await world.replica(), await world.replica(1)
    to = (Backend(component="api", revision=1, weight=50), Backend(component="api", revision=2, weight=50))
    await world.store.traffic.put_route(Route(id="canary", app="shop", component="api", to=to))
    await world.gateway.refresh("shop")
    slow: set[asyncio.Task[str]] = set()
    while not second.busy.is_set():
        slow.add(asyncio.create_task(ask(f"{world.url}/slow")))
        await asyncio.wait(slow, timeout=0.02)
    async with Load(world.url) as load:
        await load.more()
        draining = asyncio.create_task(world.gateway.drain(second.name, WITHIN_S, hold=hold))
        await eventually_draining(world, second.name)
        await load.more()
        assert not draining.done(), "it still works on one"
        second.go.set()
        await draining
        await second.stop()
        await load.more()
        first.go.set()
    assert load.failed == []
    assert {await task for task in slow} <= {first.name, second.name}
    assert {await ask(world.url) for _ in range(20)} == {first.name}


async def test_an_app_that_is_served_no_more_closes_its_ports(world: GatewayWorld) -> None:
    await world.serve()
    await world.replica()
    await world.gateway.serve("shop", PROVIDER, [])
    await eventually_closed(world.port)


async def eventually_draining(world: GatewayWorld, name: str) -> None:
    async def draining() -> bool:
        return not (await world.loads())[name].healthy

    await eventually(draining)


async def eventually_busy(world: GatewayWorld, name: str) -> None:
    async def busy() -> bool:
        return (await world.loads())[name].requests > 0

    await eventually(busy)


async def eventually_tried_again(world: GatewayWorld, count: int) -> None:
    async def tried() -> bool:
        return await world.tries() >= count

    await eventually(tried)
