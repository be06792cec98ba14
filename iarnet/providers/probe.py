"""Asking a port whether it answers, over whatever connection there is."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

from iarnet.models.component import HealthCheck
from iarnet.models.instance import ProbeResult

Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Dial = Callable[[str, int], AbstractAsyncContextManager[Pair]]


@asynccontextmanager
async def dial(host: str, port: int) -> AsyncIterator[Pair]:
    """A plain TCP connection, closed at the end."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def probe_port(check: HealthCheck, host: str, port: int, dial: Dial = dial) -> ProbeResult:
    """Connect, and for `http` also GET the path; never raises for what the other side does."""
    what = f"http://{host}:{port}{check.path}" if check.type == "http" else f"tcp {host}:{port}"
    try:
        async with asyncio.timeout(check.timeout_s), dial(host, port) as (reader, writer):
            if check.type != "http":
                return ProbeResult(ready=True, detail=f"{what}: connected")
            return _judge(check.good_below, what, await _get(reader, writer, host, port, check.path))
    except TimeoutError:
        return ProbeResult(ready=False, detail=f"{what}: no answer within {check.timeout_s:g} s")
    except OSError as e:
        return ProbeResult(ready=False, detail=f"{what}: {os.strerror(e.errno) if e.errno else e}")


async def _get(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int, path: str) -> bytes:
    head = (f"GET {path} HTTP/1.1", f"Host: {host}:{port}", "User-Agent: iarnet", "Accept: */*", "Connection: close")
    writer.write("\r\n".join((*head, "", "")).encode())
    await writer.drain()
    try:
        return await reader.readline()
    except ValueError:  # more than the reader holds, and no end of the line
        return b""


def _judge(limit: int, what: str, status_line: bytes) -> ProbeResult:
    words = status_line.decode("latin-1").split(maxsplit=2)
    if len(words) < 2 or not words[0].startswith("HTTP/") or not words[1].isdigit():
        return ProbeResult(ready=False, detail=f"{what}: no HTTP answer ({status_line[:80]!r})")
    return ProbeResult(ready=int(words[1]) < limit, detail=f"{what}: status {words[1]}")
