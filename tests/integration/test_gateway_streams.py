"""What lasts longer than a request, or is none, while its instance is replaced."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from iarnet.gateway import waits
from iarnet.models.component import Ejection
from tests.integration.gateway_world import (
    WITHIN_S,
    GatewayWorld,
    Load,
    Replica,
    ask,
    eventually,
    gateway_world,
    instance,
)

UPGRADE = b"GET / HTTP/1.1\r\nHost: api\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[GatewayWorld]:
    async with gateway_world(tmp_path) as made:
        yield made


async def upgraded(world: GatewayWorld) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    writer.write(UPGRADE)
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def answers_alone(world: GatewayWorld, replica: Replica) -> bool:
    return {await ask(world.url) for _ in range(5)} == {replica.name}


@pytest.mark.parametrize("ejection", [None, Ejection(after=3)])
async def test_one_that_ends_its_streams_is_not_taken_for_dead(
    world: GatewayWorld, ejection: Ejection | None
) -> None:
    """Beside one that drains it is the only one that requests can go to."""
    await world.serve(world.service(ejection=ejection))
    first = await world.replica(0)
    _, last_user = await upgraded(world)
    second = await world.replica(1)
    draining = asyncio.create_task(world.gateway.drain(first.name, WITHIN_S))
    await eventually(lambda: answers_alone(world, second))
    streams = [await upgraded(world) for _ in range(5)]
    second.hang_up()
    assert [await reader.read() for reader, _ in streams] == [b""] * 5
    assert [await ask(world.url) for _ in range(20)] == [second.name] * 20
    last_user.close()
    await draining


@pytest.mark.parametrize("revision", [1, 2])
async def test_one_that_ended_its_streams_is_there_when_the_other_drains(world: GatewayWorld, revision: int) -> None:
    """Of one revision both are to stay, so one of them may be taken for dead: the other goes when it is back."""
    await world.serve()
    first = await world.replica(0)
    second = await world.replica(1, admitted=False)
    await world.gateway.admit(instance(second, revision=revision))
    streams = [await upgraded(world) for _ in range(20)]
    second.hang_up()

    async def is_ejected() -> bool:
        return (await world.loads())[second.name].ejected

    if revision == 1:
        await eventually(is_ejected)
    else:
        await eventually(lambda: any(reader.at_eof() for reader, _ in streams))
    async with Load(world.url) as load:
        draining = asyncio.create_task(world.gateway.drain(first.name, WITHIN_S))
        await eventually(lambda: answers_alone(world, second))
        await load.more()
    assert load.failed == []
    for _, user in streams:
        user.close()
    await draining


async def test_nobody_is_turned_away_while_the_only_one_is_taken_for_dead(world: GatewayWorld) -> None:
    """Beside two that drain it may be."""
    await world.serve()
    old = [await world.replica(number) for number in (0, 1)]
    users = [(await upgraded(world))[1] for _ in range(8)]
    last = await world.replica(2)
    draining = [asyncio.create_task(world.gateway.drain(each.name, WITHIN_S)) for each in old]
    await eventually(lambda: answers_alone(world, last))
    streams = [await upgraded(world) for _ in range(5)]
    last.hang_up()
    assert [await reader.read() for reader, _ in streams] == [b""] * 5
    assert [await ask(world.url) for _ in range(20)] == [last.name] * 20
    for user in users:
        user.close()
    await asyncio.gather(*draining)


class Packets(asyncio.DatagramProtocol):
    """Answers to a datagram with its name, to `later` when it is told to."""

    def __init__(self, replica: Replica) -> None:
        self._name = replica.name.encode()
        self._waiting: list[tuple[str, int]] = []

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if data == b"later":
            self._waiting.append(addr)
        else:
            self._transport.sendto(self._name, addr)

    def answer(self) -> bool:
        """Whoever waits; False when nobody does."""
        for addr in self._waiting:
            self._transport.sendto(self._name, addr)
        return bool(self._waiting)


async def packets(world: GatewayWorld, number: int) -> Packets:
    """The instance of revision `number + 1`, admitted."""
    replica = Replica(f"iarnet-shop-api-r{number + 1}-0", f"127.0.0.{number + 2}", world.port)
    _, made = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Packets(replica), local_addr=(replica.address, replica.port)
    )
    await world.gateway.admit(instance(replica))
    return made


def wire(world: GatewayWorld) -> "closing[socket.socket]":
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setblocking(False)
    made.connect(("127.0.0.1", world.port))
    return closing(made)


async def received(wire: socket.socket) -> str:
    async with asyncio.timeout(WITHIN_S):
        return (await asyncio.get_running_loop().sock_recv(wire, 100)).decode()


async def test_who_drains_can_answer_to_datagrams_and_the_next_ones_go_elsewhere(
    world: GatewayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waits, "_ANSWER_S", WITHIN_S)
    await world.serve(world.service(protocol="udp"))
    first = await packets(world, 0)
    with wire(world) as patient, wire(world) as other:
        patient.send(b"later")
        other.send(b"now")
        assert await received(other) == "iarnet-shop-api-r1-0"
        await packets(world, 1)
        draining = asyncio.create_task(world.gateway.drain("iarnet-shop-api-r1-0", 2 * WITHIN_S))

        async def elsewhere() -> bool:
            other.send(b"now")
            return await received(other) == "iarnet-shop-api-r2-0"

        await eventually(elsewhere)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(draining, 0.5)
        await eventually(first.answer)
        assert await received(patient) == "iarnet-shop-api-r1-0"
