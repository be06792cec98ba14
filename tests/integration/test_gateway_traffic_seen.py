"""What the gateway tells of the traffic, and what it writes of it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import grpc
import httpx
import psutil
import pytest

from iarnet.gateway import access_log, meter, process, stats
from iarnet.gateway.admin import Admin
from iarnet.models.traffic import Backend, Route, Service, ServiceTraffic
from tests.integration.gateway_world import (
    WITHIN_S,
    GatewayWorld,
    Load,
    Replica,
    ask,
    eventually,
    free_port,
    gateway_world,
    instance,
)

MERGED_S = 20.0
"""Envoy adds up what its threads have measured every five seconds."""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[GatewayWorld]:
    async with gateway_world(tmp_path) as made:
        yield made


@pytest.fixture
async def admin(world: GatewayWorld) -> AsyncIterator[Admin]:
    made = Admin(world.where.admin)
    yield made
    await made.aclose()


@pytest.fixture
async def measuring(world: GatewayWorld, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """With samples that follow each other more closely."""
    monkeypatch.setattr(meter, "SAMPLE_S", 2.0)
    monkeypatch.setattr(stats, "_TOO_SHORT_S", 0.5)
    task = asyncio.create_task(world.gateway.measure())
    yield
    task.cancel()


async def seen(world: GatewayWorld, component: str = "api", route: str = "") -> ServiceTraffic:
    found = [t for t in await world.gateway.traffic("shop") if (t.component, t.route) == (component, route)]
    return found[0] if found else ServiceTraffic(app="shop", component=component, route=route)


async def another(world: GatewayWorld, service: Service) -> None:
    """An instance of it, which the test has to be."""
    replica = Replica(f"iarnet-shop-{service.component}-r1-0", "127.0.0.9", service.port)
    await world.gateway.admit(instance(replica, component=service.component))


async def test_requests_are_counted_by_answer_and_by_route(world: GatewayWorld) -> None:
    published = free_port()
    await world.serve(world.service(host_port=published))
    first = await world.replica()
    first.ill = True
    to = (Backend(component="api"),)
    await world.store.traffic.put_route(Route(id="new", app="shop", component="api", path="/new", to=to))
    await world.gateway.refresh("shop")
    for path in ("", "/new", "/new", "/ill"):
        await ask(f"{world.url}{path}")
    await ask(f"http://127.0.0.1:{published}/new")
    await world.gateway.drain(first.name, WITHIN_S)
    assert await ask(world.url) == "503"
    found = await seen(world)
    assert (found.requests, found.requests_total, found.errors_total) == ({"2xx": 4, "5xx": 2}, 6, 2)
    assert found.sent_bytes
    assert found.sent_bytes >= 5 * len(first.name)
    assert found.received_bytes
    assert found.connections_total
    assert found.recent is None, "nothing has been compared yet"
    new = await seen(world, route="new")
    assert (new.requests, new.errors_total, new.connections) == ({"2xx": 3}, 0, None)
    assert [t.app for t in await world.gateway.traffic()] == ["shop", "shop"]
    assert await world.gateway.traffic("sho") == []


async def test_rates_and_durations_are_those_of_now(world: GatewayWorld, measuring: None) -> None:
    await world.serve()
    slow = await world.replica()
    async with Load(world.url) as load:
        await load.more(50)
        held = asyncio.create_task(ask(f"{world.url}/slow"))
        await slow.busy.wait()
        await load.more(50)
        slow.go.set()
        await held

        async def told() -> bool:
            recent = (await seen(world)).recent
            return bool(recent and recent.requests_per_s and recent.p99_s)

        await eventually(told, MERGED_S)
        found = await seen(world)
    assert load.failed == []
    assert found.recent
    assert found.recent.error_share == 0
    assert found.recent.mean_s
    assert found.recent.p50_s
    assert found.recent.p95_s
    assert 0 < found.recent.p50_s <= found.recent.p95_s <= (found.recent.p99_s or 0)
    counts = [*found.durations.values(), found.durations_total]
    assert counts == sorted(counts)
    assert counts[-1] > 0

    async def quiet() -> bool:
        recent = (await seen(world)).recent
        return recent is not None and recent.requests_per_s == 0

    await eventually(quiet, MERGED_S)
    recent = (await seen(world)).recent
    assert recent
    assert (recent.error_share, recent.mean_s, recent.p99_s) == (None, None, None)
    assert (await seen(world)).requests_total == load.total + 1


async def test_the_next_node_goes_on_counting_and_the_next_envoy_begins_anew(world: GatewayWorld) -> None:
    await world.serve()
    await world.replica()
    for _ in range(3):
        await ask(world.url)
    await world.node_ends()
    await world.node_begins()
    await ask(world.url)
    assert (await seen(world)).requests_total == 4
    psutil.Process(world.envoy.pid).kill()
    await eventually(lambda: process._process(world.envoy) is None)
    await process.start(world.where, concurrency=2)

    async def answered() -> bool:
        try:
            return await ask(world.url) == "iarnet-shop-api-r1-0"
        except httpx.TransportError:
            return False

    await eventually(answered)
    assert (await seen(world)).requests == {"2xx": 1}


async def test_connections_that_are_no_http_are_counted_and_those_that_reach_nobody_are_errors(
    world: GatewayWorld,
) -> None:
    tcp, udp, gone = (
        world.service(name, port=free_port(), protocol=protocol)
        for name, protocol in (("db", "tcp"), ("dns", "udp"), ("gone", "tcp"))
    )
    await world.serve(tcp, udp, gone)
    for service in (tcp, udp):
        await another(world, service)

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read(100))
        writer.close()

    listening = await asyncio.start_server(echo, "127.0.0.9", tcp.port)
    for port, said in ((tcp.port, b"hello"), (gone.port, b"")):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(said)
        assert await reader.read() == said
        writer.close()
    listening.close()
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        asyncio.DatagramProtocol, remote_addr=("127.0.0.1", udp.port)
    )
    transport.sendto(b"abc")

    async def sent() -> bool:
        return (await seen(world, "dns")).received_bytes == 3

    await eventually(sent)
    transport.close()
    found = await seen(world, "db")
    assert (found.requests, found.errors_total, found.durations_total) == ({"tcp": 1}, 0, 0)
    assert (found.received_bytes, found.sent_bytes, found.connections_total) == (5, 5, 1)
    found = await seen(world, "gone")
    assert (found.requests, found.errors_total) == ({"tcp": 1}, 1)
    assert (await seen(world, "dns")).requests == {}


async def test_a_call_that_fails_is_an_error_although_its_answer_is_200(world: GatewayWorld) -> None:
    service = world.service("rpc", port=free_port(), protocol="grpc")
    await world.serve(service)
    await another(world, service)

    async def answer(request: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
        if request != b"ok":
            await context.abort(getattr(grpc.StatusCode, request.decode()), "no")
        return request

    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(answer)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("shop.Api", {"Ask": handler}),))
    server.add_insecure_port(f"127.0.0.9:{service.port}")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{service.port}") as channel:
        call = channel.unary_unary("/shop.Api/Ask")
        assert await call(b"ok") == b"ok"
        for code in ("INTERNAL", "UNAVAILABLE", "NOT_FOUND"):
            with pytest.raises(grpc.aio.AioRpcError, match=code):
                await call(code.encode())
        await server.stop(None)
        await world.gateway.drain("iarnet-shop-rpc-r1-0", WITHIN_S)
        with pytest.raises(grpc.aio.AioRpcError, match="UNAVAILABLE"):
            await call(b"ok")
    found = await seen(world, "rpc")
    assert (found.requests_total, found.errors_total) == (5, 3)
    lines = await written(world, lambda found: len(found) >= 3)
    assert [(line["grpc_status"], line["instance"]) for line in lines] == [
        ("Internal", "iarnet-shop-rpc-r1-0"),
        ("Unavailable", "iarnet-shop-rpc-r1-0"),
        ("Unavailable", None),
    ]


async def test_what_fails_is_written_and_the_rest_by_its_share(world: GatewayWorld, admin: Admin) -> None:
    await world.serve()
    first = await world.replica()
    first.ill = True
    assert await ask(f"{world.url}/fine") == first.name
    assert await ask(f"{world.url}/ill?token=secret") == "500"
    [line] = await written(world, lambda found: len(found) > 0)
    assert line.pop("time")
    assert line.pop("request_id")
    assert line.pop("ms") >= 0
    assert line == {
        "app": "shop",
        "component": "api",
        "route": None,
        "method": "GET",
        "path": "/ill",
        "status": 500,
        "flags": "-",
        "received_bytes": 0,
        "sent_bytes": len(first.name),
        "instance": first.name,
        "upstream": f"{first.address}:{world.port}",
    }
    await access_log.set_share(admin, 1.0)
    assert await ask(f"{world.url}/fine?token=secret") == first.name
    lines = await written(world, lambda found: len(found) > 1)
    assert [found["path"] for found in lines] == ["/ill", "/fine"]
    assert "secret" not in world.where.access_log.read_text()
    await access_log.set_share(admin, 0.0)
    assert await ask(f"{world.url}/fine") == first.name
    assert await ask(f"{world.url}/ill") == "500"
    lines = await written(world, lambda found: len(found) > 2)
    assert [found["path"] for found in lines] == ["/ill", "/fine", "/ill"]


async def test_whoever_hears_of_a_request_by_its_id_decides_alike(world: GatewayWorld, admin: Admin) -> None:
    await access_log.set_share(admin, 0.5)
    await world.serve()
    await world.replica()
    ids = [str(UUID(int=number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128, version=4)) for number in range(1, 31)]
    async with httpx.AsyncClient() as http:
        for id in ids * 2:
            await http.get(world.url, headers={"x-request-id": id})
    await access_log.set_share(admin, 1.0)
    await ask(f"{world.url}/last")
    lines = await written(world, lambda found: bool(found) and found[-1]["path"] == "/last")
    counts = Counter(line["request_id"] for line in lines[:-1])
    assert set(counts.values()) == {2}
    assert 5 < len(counts) < 25


async def test_each_of_several_components_at_a_port_is_called_by_its_name(world: GatewayWorld, admin: Admin) -> None:
    await access_log.set_share(admin, 1.0)
    await world.serve(world.service(), world.service("web"))
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    for name in ("api", "web"):
        writer.write(b"GET / HTTP/1.1\r\nhost: %s\r\n\r\n" % name.encode())
        assert b" 503 " in await reader.readuntil(b"\r\n\r\n")
    writer.close()
    lines = await written(world, lambda found: len(found) > 1)
    assert [line["component"] for line in lines] == ["api", "web"]


async def test_the_file_stays_short_and_no_line_is_lost(
    world: GatewayWorld, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_log, "_BYTES", 20_000)
    monkeypatch.setattr(access_log, "_OLD_FILES", 1000)
    monkeypatch.setattr(access_log, "_LOOK_S", 0.1)
    path = world.where.access_log
    await access_log.set_share(admin, 1.0)
    await world.serve()
    await world.replica()
    keeping = asyncio.create_task(access_log.keep_short(path, admin))
    try:
        async with Load(world.url) as load:
            await eventually(lambda: path.with_name("access.log.1").exists())
            await load.more(50)

        def count() -> int:
            files = path.parent.glob("access.log*")
            return sum(len(file.read_text().splitlines()) for file in files)

        await eventually(lambda: count() == load.total)
    finally:
        keeping.cancel()
    assert load.failed == []
    path.unlink()
    keeping = asyncio.create_task(access_log.keep_short(path, admin))
    try:
        await eventually(path.exists)
    finally:
        keeping.cancel()


def test_older_files_move_on_and_the_oldest_goes(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    for text in "abcdef":
        path.write_text(text)
        access_log._turn(path)
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {
        "access.log.1": "f",
        "access.log.2": "e",
        "access.log.3": "d",
    }


async def written(world: GatewayWorld, enough: Callable[[list[Any]], bool]) -> list[Any]:
    """Its lines, when there are enough of them: Envoy writes a moment later."""
    await eventually(lambda: enough(world.logged()))
    return world.logged()
