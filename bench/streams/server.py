"""`server.py sockets | calls`: gives back what it gets, over WebSocket at 8080 or in gRPC streams at 50051."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any

import grpc
from websockets.asyncio.server import ServerConnection, serve  # type: ignore[import-not-found]


async def sockets() -> None:
    async with serve(_send_back, "", 8080):
        await _told_to_end()


async def calls() -> None:
    server = grpc.aio.server()
    echo = grpc.stream_stream_rpc_method_handler(_answer)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.Echo", {"Talk": echo}),))
    server.add_insecure_port("0.0.0.0:50051")
    await server.start()
    await _told_to_end()
    await server.stop(grace=0)


async def _send_back(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def _answer(messages: AsyncIterator[bytes], _: Any) -> AsyncIterator[bytes]:
    async for message in messages:
        yield message


async def _told_to_end() -> None:
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    await told.wait()


if __name__ == "__main__":
    asyncio.run({"sockets": sockets, "calls": calls}[sys.argv[1]]())
