"""`client.py http://… ws://… grpc://…`: uses each address without end, and tells once a second how that went.

Of an `http` one it wants `PER_S` answers a second, each over a connection of its own. With the others it keeps
`STREAMS` streams open, one message every 0.1 s, each for `LIFE_S`, as long as a gateway has to let them finish.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import urlsplit

import grpc
from websockets.asyncio.client import connect  # type: ignore[import-not-found]

PER_S = 25
STREAMS = 5
LIFE_S = 3.0
PAUSE_S = 0.1
PATIENCE_S = 20.0
KEPT = 10


class Seen:
    """Counts by kind of address, and of what is broken the first, with the time and what happened."""

    def __init__(self) -> None:
        self.done = {"http": 0, "ws": 0, "grpc": 0}
        self.broken = dict(self.done)
        self.first: list[str] = []

    async def one(self, address: str, use: Callable[[str], Awaitable[None]]) -> None:
        began = time.time()
        try:
            await use(address)
        except Exception as error:  # whatever it is, a user has noticed
            self.broken[urlsplit(address).scheme] += 1
            if len(self.first) < KEPT:
                self.first.append(f"{began:.3f} {address} after {time.time() - began:.2f} s: {error!r:.300}")
        else:
            self.done[urlsplit(address).scheme] += 1


async def main(addresses: list[str]) -> None:
    seen = Seen()
    async with asyncio.TaskGroup() as group:
        for address in addresses:
            if address.startswith("http"):
                group.create_task(_ask(seen, address))
            else:
                use = {"ws": socket, "grpc": call}[urlsplit(address).scheme]
                for _ in range(STREAMS):
                    group.create_task(_talk(seen, address, use))
        while True:
            await asyncio.sleep(1)
            print(json.dumps(vars(seen)), flush=True)


async def _ask(seen: Seen, address: str) -> None:
    async with asyncio.TaskGroup() as group:
        while True:
            group.create_task(seen.one(address, get))
            await asyncio.sleep(1 / PER_S)


async def _talk(seen: Seen, address: str, use: Callable[[str], Awaitable[None]]) -> None:
    while True:
        await seen.one(address, use)
        await asyncio.sleep(PAUSE_S)


async def get(address: str) -> None:
    url = urlsplit(address)
    async with asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection(url.hostname, url.port)
        try:
            writer.write(f"GET {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nConnection: close\r\n\r\n".encode())
            answer = await reader.read(-1)
        finally:
            writer.close()
    if b" 200 " not in answer[:16]:
        raise ValueError(answer[:200].decode(errors="replace"))


async def socket(address: str) -> None:
    async with connect(address, open_timeout=PATIENCE_S) as connection:
        async for message in _messages():
            await connection.send(message)
            _same(message, await asyncio.wait_for(connection.recv(), PATIENCE_S))


async def call(address: str) -> None:
    async with grpc.aio.insecure_channel(urlsplit(address).netloc) as channel:
        stream = channel.stream_stream("/bench.Echo/Talk")(timeout=LIFE_S + PATIENCE_S)
        async for message in _messages():
            await stream.write(message)
            _same(message, await stream.read())
        await stream.done_writing()
        _same(grpc.aio.EOF, await stream.read())


async def _messages() -> AsyncIterator[bytes]:
    end = time.monotonic() + LIFE_S
    while time.monotonic() < end:
        yield str(time.monotonic()).encode()
        await asyncio.sleep(PAUSE_S)


def _same(sent: object, got: object) -> None:
    if sent != got:
        raise ValueError(f"{got!r} instead of {sent!r}")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
