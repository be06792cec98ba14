"""In a container: answers with one word, in one protocol. `server.py PROTOCOL PORT WORD`.

A client says how often it wants to hear the word, and hears it that often, every `TICK_S`. By UDP it asks each time.
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import hypercorn.asyncio
import hypercorn.config

TICK_S = 0.1
READY = Path("/tmp/ready")
"""Where nobody can see by a connection that it listens."""

SERVING = b"\x08\x01"
"""A `HealthCheckResponse` of grpc.health.v1."""


async def said(word: str, times: bytes | str) -> AsyncIterator[str]:
    for _ in range(int(times)):
        yield word
        await asyncio.sleep(TICK_S)


async def web(port: int, word: str) -> None:
    """HTTP/1.1, HTTP/2 and WebSocket. Says over which version it was asked, too."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            spoken = f"{word} over {scope['http_version']}\n"
            await send({"type": "http.response.start", "status": 200})
            async for each in said(spoken, scope["path"].strip("/")):
                await send({"type": "http.response.body", "body": each.encode(), "more_body": True})
            await send({"type": "http.response.body"})
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            async for each in said(word, (await receive())["text"]):
                await send({"type": "websocket.send", "text": each})
            await send({"type": "websocket.close"})

    config = hypercorn.config.Config()
    config.bind = [f"0.0.0.0:{port}"]
    await hypercorn.asyncio.serve(application, config, shutdown_trigger=asyncio.Event().wait)


async def calls(port: int, word: str) -> None:
    async def say(times: bytes, _: Any) -> AsyncIterator[bytes]:
        async for each in said(word, times):
            yield each.encode()

    async def check(_: bytes, __: Any) -> bytes:
        return SERVING

    server = grpc.aio.server()
    words = {"Say": grpc.unary_stream_rpc_method_handler(say)}
    health = {"Check": grpc.unary_unary_rpc_method_handler(check)}
    handlers = (("protocols.Words", words), ("grpc.health.v1.Health", health))
    server.add_generic_rpc_handlers(
        tuple(grpc.method_handlers_generic_handler(service, methods) for service, methods in handlers)
    )
    server.add_insecure_port(f"0.0.0.0:{port}")
    await server.start()
    await server.wait_for_termination()


async def lines(port: int, word: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async for each in said(word, await reader.readline() or "0"):
                writer.write(f"{each}\n".encode())
                await writer.drain()
        except OSError:
            pass  # who asked has gone
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "0.0.0.0", port)
    await server.serve_forever()


class _Packets(asyncio.DatagramProtocol):
    def __init__(self, word: str) -> None:
        self._word = word.encode()

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._transport.sendto(self._word, addr)


async def packets(port: int, word: str) -> None:
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: _Packets(word), local_addr=("0.0.0.0", port))
    READY.touch()
    await asyncio.Event().wait()


if __name__ == "__main__":
    # The first process of a container ends by no signal that it does not handle.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    asyncio.run(globals()[sys.argv[1]](int(sys.argv[2]), sys.argv[3]))
