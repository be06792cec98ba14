"""A program in a container, its input and output as one stream of bytes.

Protocol: https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Exec (as `attach`, without a terminal)
"""

import asyncio
import json
import socket
import ssl
import struct
from collections.abc import Sequence
from contextlib import suppress

from iarnet.errors import ProviderError
from iarnet.providers.docker.connection import Connection
from iarnet.providers.docker.engine import Engine
from iarnet.providers.docker.errors import unreachable

_HEADER = struct.Struct(">B3xL")
_OUTPUT = 1
_READ = 1 << 16
_OPEN_S = 10.0
_KEPT = 500
# A host that has gone away says nothing: it is missed after half a minute.
_ALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4, "TCP_USER_TIMEOUT": 30_000}


class Channel:
    """It is open until either side ends it; the program sees the end of its input then."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        self._source, self._left = 0, 0
        self.complaint = ""
        """The last that the program has said besides its output."""

    async def read(self) -> bytes:
        """Some of its output; nothing when that has ended, or the connection has."""
        with suppress(asyncio.IncompleteReadError, OSError):
            while True:
                if not self._left:
                    self._source, self._left = _HEADER.unpack(await self._reader.readexactly(_HEADER.size))
                data = await self._reader.read(min(self._left, _READ))
                if not data:
                    break
                self._left -= len(data)
                if self._source == _OUTPUT:
                    return data
                self.complaint = (self.complaint + data.decode(errors="replace"))[-_KEPT:]
        return b""

    async def write(self, data: bytes) -> None:
        """Raises `OSError` when the connection has ended."""
        self.writer.write(data)
        await self.writer.drain()

    def close(self) -> None:
        self.writer.close()


async def run(engine: Engine, container: str, command: Sequence[str]) -> Channel:
    """Raises `NotFound`, `Conflict` when the container does not run, `ProviderUnavailable`."""
    made = await engine.ask(lambda c: c.exec_create(container, list(command), stdin=True))
    version = await engine.ask(lambda c: str(c.api_version))
    try:
        async with asyncio.timeout(_OPEN_S):
            reader, writer = await _connected(engine.connection)
            try:
                await _upgraded(reader, writer, f"/v{version}/exec/{made['Id']}/start")
            except BaseException:
                writer.close()
                raise
    except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
        raise unreachable(str(error) or "no answer", engine.connection.url) from error
    return Channel(reader, writer)


async def _connected(connection: Connection) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if path := await asyncio.to_thread(connection.socket_path):
        return await asyncio.open_unix_connection(path)
    tls = await asyncio.to_thread(_context, connection) if connection.tls else None
    reader, writer = await asyncio.open_connection(connection.host, connection.port, ssl=tls)
    _stay_alert(writer.get_extra_info("socket"))
    return reader, writer


def _context(connection: Connection) -> ssl.SSLContext:
    assert connection.tls
    context = ssl.create_default_context(cafile=str(connection.tls.ca))
    context.load_cert_chain(connection.tls.cert, connection.tls.key)
    return context


def _stay_alert(connected: socket.socket) -> None:
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _ALIVE.items():
        if hasattr(socket, name):  # each system has its own
            connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


async def _upgraded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> None:
    body = json.dumps({"Detach": False, "Tty": False}).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    answer = (await reader.readuntil(b"\r\n\r\n")).decode(errors="replace")
    if answer.split(maxsplit=2)[1] != "101":
        raise ProviderError(
            f"The engine does not start a program in a container: {answer.partition(chr(13))[0]}",
            hint="`docker exec` on that host says more",
        )
