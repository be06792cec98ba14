"""What is elsewhere, for tests that wait in one thread: a relay runs in another one."""

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.integration.remote_engine import Relay, relay


class Line:
    """A relay that can be cut and mended."""

    def __init__(self, loop: asyncio.AbstractEventLoop, relay: Relay) -> None:
        self._loop, self._relay = loop, relay

    @property
    def port(self) -> int:
        return self._relay.port

    def cut(self) -> None:
        asyncio.run_coroutine_threadsafe(self._relay.cut(), self._loop).result(10)

    def mend(self) -> None:
        asyncio.run_coroutine_threadsafe(self._relay.up(), self._loop).result(10)


@contextmanager
def line(to: str, context: ssl.SSLContext | None = None) -> Iterator[Line]:
    """A port of 127.0.0.1 that leads to `unix:///path` or `host:port`."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    opened = relay(to, context)
    try:
        made = asyncio.run_coroutine_threadsafe(opened.__aenter__(), loop).result(10)
        yield Line(loop, made)
        asyncio.run_coroutine_threadsafe(opened.__aexit__(None, None, None), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
