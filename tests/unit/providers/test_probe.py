import asyncio

import pytest

from iarnet.models.component import HealthCheck
from iarnet.providers.probe import probe_port


@pytest.mark.parametrize(
    ("answer", "ready", "told"),
    [
        (b"HTTP/1.1 204 No Content\r\n", True, "status 204"),
        (b"HTTP/1.1 500 Broken\r\n", False, "status 500"),
        (b"220 mail\r\n", False, "no HTTP answer (b'220 mail"),
        (b"", False, "no HTTP answer"),
        (b"x" * 100_000, False, "no HTTP answer"),
    ],
)
async def test_what_a_port_answers(answer: bytes, ready: bool, told: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        found = await probe_port(HealthCheck(type="http", path="/", timeout_s=10), "127.0.0.1", port)
    assert found.ready is ready
    assert told in found.detail
