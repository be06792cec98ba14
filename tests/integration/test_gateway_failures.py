"""What goes on when Envoy dies, the node is away, or a configuration is refused."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

from iarnet.errors import GatewayRefused, GatewayUnavailable
from iarnet.gateway import process
from iarnet.gateway.resources import resources
from iarnet.models.source import GitSource
from iarnet.models.traffic import Service
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


async def test_a_killed_envoy_comes_back_with_the_same_configuration(world: GatewayWorld) -> None:
    await world.serve()
    first = await world.replica()
    keeping = asyncio.create_task(process.keep(world.where, world.envoy, concurrency=2))
    try:
        os.kill(world.envoy.pid, signal.SIGKILL)
        killed = time.perf_counter()
        await eventually_answered(world.url, first.name)
        print(f"\nEnvoy killed: the next answer came after {time.perf_counter() - killed:.2f} s")
        await world.gateway.drain(first.name, 1.0)
        assert await ask(world.url) == "503"
    finally:
        keeping.cancel()


async def test_one_of_two_that_dies_unnoticed_is_out_of_rotation_and_no_more_fails(world: GatewayWorld) -> None:
    await world.serve()
    first, second = await world.replica(), await world.replica(1, admitted=False)
    await world.gateway.admit(instance(second, revision=1))

    async def out() -> bool:
        return (await world.loads())[first.name].ejected

    async with Load(world.url) as load:
        await load.more()
        assert set(load.answers) == {first.name, second.name}
        await first.stop()
        await eventually(out)
        await load.more()
        assert len(load.failed) <= load.clients, "only what was in flight may fail"
        assert not (await world.loads())[second.name].ejected
    await first.start()
    await eventually(lambda: _answers(world, first))


async def test_traffic_goes_on_while_the_node_is_away(world: GatewayWorld) -> None:
    await world.serve()
    first = await world.replica()
    async with Load(world.url) as load:
        await load.more()
        await world.node_ends()
        await load.more()
        accepted = await world.counter("listener_manager.listener_modified")
        await world.node_begins()
        second = await world.replica(1)
        await world.gateway.drain(first.name, WITHIN_S)
        await first.stop()
        await load.more()
    assert load.failed == []
    assert load.answers[second.name] > 0
    assert await world.counter("listener_manager.listener_modified") == accepted


async def test_a_connection_that_breaks_while_much_is_under_way_costs_nothing(world: GatewayWorld) -> None:
    apps = [f"app{n}" for n in range(200)]
    for n, app in enumerate(apps):
        world.ads.put(app, resources(_three(world, n, app), (), (), publish_address="127.0.0.1"))

    async def under_way() -> bool:
        """Or over already, on a machine where this process was not asked for some time."""
        return await world.counter("cluster_manager.cluster_added") > 1

    await eventually(under_way)
    await world.ads.stop()
    await world.ads.start(world.where.ads)
    for app in apps:
        await world.ads.settled(app, WITHIN_S)


async def test_what_was_removed_while_the_node_was_away_goes(world: GatewayWorld) -> None:
    await world.serve()
    await world.replica()
    await world.node_ends()
    await world.store.traffic.serve("shop", PROVIDER, [])
    await world.node_begins()
    await eventually_closed(world.port)


async def test_a_change_without_envoy_is_unavailable(world: GatewayWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iarnet.gateway.envoy._SETTLE_S", 0.2)
    await process.stop(world.where)
    with pytest.raises(GatewayUnavailable, match="No Envoy is connected"):
        await world.serve()


async def test_a_refused_change_says_why_and_the_rest_goes_on(world: GatewayWorld) -> None:
    await world.serve()
    first = await world.replica()
    taken = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    port = taken.sockets[0].getsockname()[1]
    other = world.service("web", port=free_port())
    with pytest.raises(GatewayRefused, match="Address already in use") as refusal:
        await world.serve(world.service(host_port=port), other)
    assert refusal.value.where == f"shop/127.0.0.1:{port}/tcp"
    assert await world.store.traffic.services("shop") == [world.service()]
    assert await ask(world.url) == first.name

    second = await world.replica(1)
    await world.gateway.suspend(first.name)
    assert await ask(world.url) == second.name

    taken.close()
    await taken.wait_closed()
    await world.serve(world.service(host_port=port), other)
    assert await ask(f"http://127.0.0.1:{port}") == second.name


async def test_a_new_app_that_is_refused_leaves_nothing(world: GatewayWorld) -> None:
    taken = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    with pytest.raises(GatewayRefused):
        await world.serve(world.service(host_port=taken.sockets[0].getsockname()[1]))
    await eventually_closed(world.port)
    taken.close()


async def test_a_port_lost_while_both_were_away_costs_only_itself(
    world: GatewayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("iarnet.gateway.xds._AGAIN_S", 0.2)
    published = free_port()
    await world.serve(world.service(host_port=published))
    first = await world.replica()
    await world.node_ends()
    await process.stop(world.where)
    taken = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", published)
    world.envoy = await process.start(world.where)
    await world.node_begins()
    await eventually_answered(world.url, first.name)

    second = await world.replica(1)
    await world.gateway.suspend(first.name)
    assert await ask(world.url) == second.name

    taken.close()
    await taken.wait_closed()
    await eventually_answered(f"http://127.0.0.1:{published}", second.name)


async def test_a_changed_protocol_is_taken_over_with_the_same_endpoints(world: GatewayWorld) -> None:
    await world.serve()
    first = await world.replica()
    for protocol in ("tcp", "http", "grpc", "http"):
        await world.serve(world.service(protocol=protocol))
        assert await ask(world.url) == first.name


async def test_a_thousand_services(world: GatewayWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iarnet.gateway.envoy._SETTLE_S", 120.0)
    apps = [f"app{n}" for n in range(350)]
    for app in apps:
        await world.store.apps.create(app, GitSource(url="https://example.org/app.git"))
    begun = time.perf_counter()
    await asyncio.gather(*(world.gateway.serve(app, PROVIDER, _three(world, n, app)) for n, app in enumerate(apps)))
    print(f"\n{len(apps)} apps with 3 services each: served after {time.perf_counter() - begun:.1f} s")
    print(f"Envoy: {psutil.Process(world.envoy.pid).memory_info().rss / 2**20:.0f} MiB")

    begun = time.perf_counter()
    await world.serve()
    first = await world.replica()
    assert await ask(world.url) == first.name
    print(f"one more app, its instance and a first answer: {(time.perf_counter() - begun) * 1000:.0f} ms")
    await world.gateway.loads()


def _three(world: GatewayWorld, number: int, app: str) -> list[Service]:
    """Each app on an address of its own, as on its own network."""
    address = f"127.1.{number // 250}.{number % 250 + 1}"
    return [world.service(c, app=app, address=address, port=20000 + n) for n, c in enumerate(("api", "web", "db"))]


async def _answers(world: GatewayWorld, replica: Replica) -> bool:
    return await ask(world.url) == replica.name


async def eventually_answered(url: str, by: str) -> None:
    async def answered() -> bool:
        with suppress(httpx.TransportError):
            return await ask(url) == by
        return False

    await eventually(answered)
