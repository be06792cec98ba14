"""Small servers in the place of instances, and what the registry knows of them."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

from iarnet.models.traffic import Endpoint, Service

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def service(component: str = "api", port: int = 8080, protocol: str = "http", **more: Any) -> Service:
    fields = {"app": "shop", "provider_id": "local", "address": "127.0.0.1", "subnet": "127.0.0.0/8"}
    return Service(component=component, port=port, protocol=protocol, **{**fields, **more})


def endpoint(component: str = "api", address: str = "127.0.1.1", **more: Any) -> Endpoint:
    fields = {"app": "shop", "provider_id": "local", "instance": f"{component}-{address}", "revision": 1}
    return Endpoint(component=component, address=address, **{**fields, **more})


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(("0.0.0.0", 0))
        return int(s.getsockname()[1])


class Web:
    """Answers every request with its name and keeps what it was sent."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.requests: list[tuple[str, dict[str, str], bytes]] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            first, *lines = head.decode().rstrip().split("\r\n")
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            self.requests.append((first, headers, body))
            if "upgrade" in headers:
                writer.write(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n")
                return await echo(reader, writer)
            answer = self.name.encode()
            writer.write(b"HTTP/1.1 200 OK\r\nserver: mine\r\ncontent-length: %d\r\n\r\n" % len(answer) + answer)
            await writer.drain()
        return None


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._transport.sendto(data, addr)


class Run:
    def __init__(self, ended: AsyncExitStack) -> None:
        self._ended = ended

    async def web(self, address: str, port: int, name: str = "") -> Web:
        web = Web(name or address)
        await self.tcp(address, port, web)
        return web

    async def tcp(self, address: str, port: int, handler: Handler) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await handler(reader, writer)
            except (asyncio.IncompleteReadError, ConnectionError):
                pass  # the other side is done
            finally:
                writer.close()

        server = await asyncio.start_server(serve, address, port)
        self._ended.callback(server.close)

    async def udp(self, address: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(Echo, local_addr=(address, port))
        self._ended.callback(transport.close)
