"""What our own probe finds at a gRPC server."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from iarnet.models.component import HealthCheck
from iarnet.models.instance import Instance
from iarnet.providers.docker.connection import Connection
from iarnet.providers.docker.engine import Engine
from iarnet.providers.docker.probe import Prober
from iarnet.providers.grpc_health import probe_grpc
from tests.integration.health_server import NOT_SERVING, SERVING, HealthServer
from tests.unit.gateway.instances import free_port

LONG = "shop.v1." + "x" * 192


@pytest.fixture
async def server() -> AsyncIterator[tuple[HealthServer, int]]:
    port = free_port()
    made = HealthServer("127.0.0.1", port)
    await made.start()
    yield made, port
    await made.stop()


@pytest.mark.parametrize(
    ("state", "service", "ready", "told"),
    [
        (SERVING, None, True, "SERVING"),
        (SERVING, "shop.Api", True, "shop.Api: SERVING"),
        (SERVING, LONG, True, "SERVING"),
        (NOT_SERVING, None, False, "NOT_SERVING"),
        (0, None, False, "UNKNOWN"),
        (None, "shop.Api", False, "NOT_FOUND no such service"),
    ],
)
async def test_a_server_says_whether_it_is_well(
    server: tuple[HealthServer, int], state: int | None, service: str | None, ready: bool, told: str
) -> None:
    health, port = server
    health.states = {} if state is None else {service or "": state}
    found = await probe_grpc(HealthCheck(type="grpc", service=service, timeout_s=10), "127.0.0.1", port)
    assert (found.ready, health.asked) == (ready, {service or "": 1})
    assert told in found.detail
    assert f"grpc 127.0.0.1:{port}" in found.detail


async def test_the_provider_asks_so(server: tuple[HealthServer, int]) -> None:
    health, port = server
    prober = Prober(Engine(Connection("unix:///nowhere/docker.sock")))
    known = {"app": "shop", "component": "api", "provider_id": "local", "revision": 1, "spec_hash": "x"}
    there = Instance(**known, name="iarnet-shop-api-r1-0", state="running", address="127.0.0.1")
    check = HealthCheck(type="grpc", port=port, timeout_s=10)
    assert (await prober.probe(there, check)).ready
    health.states[""] = NOT_SERVING
    assert not (await prober.probe(there, check)).ready
    assert (await prober.probe(there, check.model_copy(update={"type": "tcp"}))).ready


async def test_nobody_and_somebody_else_are_not_well() -> None:
    check = HealthCheck(type="grpc", timeout_s=10)
    found = await probe_grpc(check, "127.0.0.1", free_port())
    assert (found.ready, "UNAVAILABLE" in found.detail) == (False, True)

    async def another(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail\r\n")
        writer.close()

    port = free_port()
    async with await asyncio.start_server(another, "127.0.0.1", port):
        assert not (await probe_grpc(check, "127.0.0.1", port)).ready


async def test_one_that_does_not_answer_is_given_up() -> None:
    port = free_port()
    async with await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", port):
        found = await probe_grpc(HealthCheck(type="grpc", timeout_s=0.3), "127.0.0.1", port)
    assert not found.ready
