"""The `memory` provider outside of the node: what it runs is still there when the node has been killed.

A call is a connection to a unix socket: a pickle there, and for each answer one back, each with its length in front.
"""

import asyncio
import pickle
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal

from iarnet.errors import IarnetError
from iarnet.models.instance import LogLine, LogQuery
from iarnet.models.provider import ProviderEvent, ProviderInfo
from iarnet.providers.base import ImageSource
from iarnet.providers.memory import MemoryProvider

PROVIDER = "memory"

_LENGTH_BYTES = 4
# Beyond it a caller's loop takes a unix socket that was refused for a connected one.
_BACKLOG = 4096

Kind = Literal["answer", "end", "error"]


@contextmanager
def world(socket: Path) -> Iterator[MemoryProvider]:
    """A provider that is called over this socket until the block ends, and that can be looked at from here."""
    provider = MemoryProvider(PROVIDER)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        opened = asyncio.start_unix_server(partial(_answer, provider), socket, backlog=_BACKLOG)
        asyncio.run_coroutine_threadsafe(opened, loop).result(10)
        yield provider
    finally:
        asyncio.run_coroutine_threadsafe(_end_all(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


class Elsewhere:
    """Implements `iarnet.providers.base.Provider`, for a node of this name."""

    def __init__(self, socket: Path, home: str) -> None:
        self.info = ProviderInfo(id=PROVIDER, name=PROVIDER, type="memory", home=home)
        self._socket = socket

    def __getattr__(self, method: str) -> Any:
        """Whatever has one answer."""
        if method.startswith("_"):
            raise AttributeError(method)
        return partial(self._one, method)

    async def ensure_image(self, image: str, source: ImageSource | None = None) -> None:
        await self._one("ensure_image", image)

    def events(self, owner: str) -> AsyncIterator[ProviderEvent]:
        return self._all("events", owner)

    def logs(self, name: str, query: LogQuery) -> AsyncIterator[LogLine]:
        return self._all("logs", name, query)

    async def aclose(self) -> None:
        """It goes on without us."""

    async def _one(self, method: str, *arguments: Any) -> Any:
        async with aclosing(self._all(method, *arguments)) as answers:
            return await anext(answers)

    async def _all(self, method: str, *arguments: Any) -> AsyncGenerator[Any, None]:
        reader, writer = await asyncio.open_unix_connection(self._socket)
        try:
            await _send(writer, (method, arguments))
            while True:
                kind, answer = await _receive(reader)
                if kind == "error":
                    raise answer
                if kind == "end":
                    return
                yield answer
        finally:
            writer.close()


async def _answer(provider: MemoryProvider, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    # Whoever asks may be gone before it is answered; what was asked for has been done.
    with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
        method, arguments = await _receive(reader)
        try:
            found = getattr(provider, method)(*arguments)
            if hasattr(found, "__aiter__"):
                async with aclosing(found) as answers:
                    async for answer in answers:
                        await _send(writer, ("answer", answer))
            else:
                await _send(writer, ("answer", await found))
            await _send(writer, ("end", None))
        except IarnetError as error:
            await _send(writer, ("error", error))
    writer.close()


async def _end_all() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def _send(writer: asyncio.StreamWriter, what: object) -> None:
    body = pickle.dumps(what)
    writer.write(len(body).to_bytes(_LENGTH_BYTES) + body)
    await writer.drain()


async def _receive(reader: asyncio.StreamReader) -> Any:
    length = int.from_bytes(await reader.readexactly(_LENGTH_BYTES))
    return pickle.loads(await reader.readexactly(length))
