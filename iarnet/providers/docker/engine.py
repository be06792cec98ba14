"""Calls to one Docker engine: the blocking SDK behind a bounded pool of threads, its errors as ours."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import docker
import docker.errors
import requests

from iarnet.errors import IarnetError, NotFound, ProviderUnavailable
from iarnet.providers.docker.connection import Connection
from iarnet.providers.docker.errors import error_from_engine
from iarnet.providers.docker.stream import Stream, pump

T = TypeVar("T")


class Engine:
    """`threads` bounds the calls that run at once; streams have threads of their own."""

    def __init__(self, connection: Connection, *, threads: int = 16) -> None:
        self.connection = connection
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="docker")

    async def call(self, use: Callable[[docker.APIClient], T]) -> T:
        """Raises errors of ours. A cancelled call is waited for: what follows it never races with it."""
        running = asyncio.get_running_loop().run_in_executor(self._pool, self._run, use)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            await asyncio.wait([running])
            # Read, or the loop complains about an error that nobody asked for.
            running.cancelled() or running.exception()
            raise

    async def ask(self, use: Callable[[docker.APIClient], T]) -> T:
        """For what changes nothing: as `call`, and may be left at once."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._run, use)

    async def container(self, name: str) -> dict[str, Any] | None:
        """What the engine says of the container (`docker inspect`)."""
        found: dict[str, Any] | None = await or_none(self.ask(lambda c: c.inspect_container(name)))
        return found

    def stream(self, open_stream: Callable[[docker.APIClient], Stream[T]]) -> AsyncGenerator[T, None]:
        return pump(lambda: self._run(open_stream), self._translate)

    async def aclose(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self.connection.close)

    def _run(self, use: Callable[[docker.APIClient], T]) -> T:
        try:
            return use(self.connection.client())
        except (docker.errors.DockerException, requests.RequestException, OSError) as e:
            raise self._translate(e) from e

    def _translate(self, error: Exception) -> Exception:
        if isinstance(error, IarnetError):
            return error
        ours = error_from_engine(error, self.connection.url)
        if isinstance(ours, ProviderUnavailable):
            self.connection.reset()
        return ours


async def or_none(answer: Awaitable[T]) -> T | None:
    """None for what is not there."""
    try:
        return await answer
    except NotFound:
        return None
