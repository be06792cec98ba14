"""Folders beneath the workspace directory, each for as long as somebody looks at what is in it."""

import asyncio
import shutil
import tarfile
import tempfile
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO, cast

from iarnet.sources.base import Sources

_BLOCK = 1 << 20
# Longer than anybody looks: older ones are of a process that was killed.
_OLD_S = 3600


class Scratch:
    """`directory` is made with the first folder, for this user alone."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory.absolute()

    @asynccontextmanager
    async def folder(self) -> AsyncIterator[Path]:
        made = await asyncio.to_thread(self._make)
        try:
            yield made
        finally:
            await asyncio.to_thread(shutil.rmtree, made, True)

    def _make(self) -> Path:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in self._directory.iterdir():
            with suppress(FileNotFoundError):
                if left.stat().st_mtime < time.time() - _OLD_S:
                    shutil.rmtree(left, ignore_errors=True)
        return Path(tempfile.mkdtemp(dir=self._directory))


async def write_out(sources: Sources, app: str, tree: str, folder: str, to: Path) -> None:
    """The files of a tree; links stay inside. Raises `NotFound`, and `OSError` when the disk does not take them."""
    loop = asyncio.get_running_loop()
    reader = _Reader(sources.archive(app, tree, folder or "."), loop)
    # A thread of its own: it waits for others, which must not have to wait for it.
    thread = ThreadPoolExecutor(1)
    try:
        await loop.run_in_executor(thread, _extract, reader, to)
    except tarfile.TarError as error:
        raise OSError(f"not all of it can be a file here: {error}") from error
    finally:
        thread.shutdown(wait=False)


class _Reader:
    """What comes in chunks on the loop, as a thread reads a file."""

    def __init__(self, stream: AsyncIterator[bytes], loop: asyncio.AbstractEventLoop) -> None:
        self._stream, self._loop, self._rest = stream, loop, b""

    def read(self, size: int) -> bytes:
        while len(self._rest) < size and (chunk := self._next()):
            self._rest += chunk
        found, self._rest = self._rest[:size], self._rest[size:]
        return found

    def _next(self) -> bytes:
        return asyncio.run_coroutine_threadsafe(self._awaited(), self._loop).result()

    async def _awaited(self) -> bytes:
        return await anext(self._stream, b"")


def _extract(reader: _Reader, to: Path) -> None:
    with tarfile.open(mode="r|", fileobj=cast("IO[bytes]", reader), bufsize=_BLOCK) as archive:
        archive.extractall(to, filter="data")
