"""The blocking Docker SDK, made fit for asyncio."""

import asyncio
import contextlib
import http.client
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import IO, Any, TypeVar, cast

import docker
import docker.errors
import requests
import urllib3.exceptions
from docker.types import CancellableStream

from iarnet.errors import ProviderUnavailable

T = TypeVar("T")

_TIMEOUT_S = 60
_CHUNK = 1 << 20
_AHEAD = 100


class _Client(docker.APIClient):
    """Remembers the answer that is being read, so that another thread can end it."""

    answer: requests.Response | None = None

    def _stream_helper(self, response: requests.Response, decode: bool = False) -> Iterator[Any]:
        self.answer = response
        return cast(Iterator[Any], super()._stream_helper(response, decode=decode))  # type: ignore[misc]


class BuildEngine:
    """A Docker engine at `unix:///path` or `tcp://host:port`."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def call(self, work: Callable[[docker.APIClient], T]) -> T:
        """Raises `ProviderUnavailable`, and `docker.errors.APIError` for what the engine refuses."""

        def working() -> T:
            with self._client() as client:
                return work(client)

        return await asyncio.to_thread(working)

    async def build(self, context: IO[bytes], on_message: Callable[[dict[str, Any]], None], **how: Any) -> None:
        """`on_message` is called on the event loop, never more than 100 messages behind what is read.

        Returns when the build has ended; cancelling ends it.
        """
        loop, ending, room = asyncio.get_running_loop(), _Ending(), threading.Semaphore(_AHEAD)

        def deliver(message: dict[str, Any]) -> None:
            room.release()
            on_message(message)

        def building() -> None:
            with self._client() as client:
                upload = cast(IO[bytes], _Upload(context, ending))
                stream = client.build(
                    fileobj=upload, custom_context=True, decode=True, timeout=None, use_config_proxy=False, **how
                )
                ending.watch(client.answer)
                for message in stream:
                    room.acquire()
                    loop.call_soon_threadsafe(deliver, message)

        work = asyncio.ensure_future(asyncio.to_thread(building))
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            ending.end()
            await asyncio.gather(work, return_exceptions=True)
            raise
        # Messages that are on their way come before whatever the caller does next.
        await asyncio.sleep(0)

    async def export(self, image: str) -> AsyncIterator[bytes]:
        with contextlib.ExitStack() as stack:
            client = await asyncio.to_thread(stack.enter_context, self._client())
            chunks = await asyncio.to_thread(lambda: iter(client.get_image(image, chunk_size=_CHUNK)))
            while chunk := await asyncio.to_thread(next, chunks, b""):
                yield chunk

    @contextlib.contextmanager
    def _client(self) -> Iterator[_Client]:
        try:
            with contextlib.closing(_Client(base_url=self._url, version="auto", timeout=_TIMEOUT_S)) as client:
                client.trust_env = False
                yield client
        except docker.errors.APIError:
            raise
        except (
            docker.errors.DockerException,
            urllib3.exceptions.HTTPError,
            http.client.HTTPException,
            OSError,
        ) as error:
            raise ProviderUnavailable(
                f"The Docker engine that builds images can't be reached: {error}",
                where=self._url,
                hint="Check that it runs, and that this user may use it.",
            ) from error


class _Ending:
    """Lets one thread end what another one reads."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self._lock = threading.Lock()
        self._answer: requests.Response | None = None

    def end(self) -> None:
        self.asked.set()
        with self._lock:
            self._close()

    def watch(self, answer: requests.Response | None) -> None:
        with self._lock:
            self._answer = answer
            if self.asked.is_set():
                self._close()

    def _close(self) -> None:
        # The SDK looks for the socket inside the answer; at its end it is gone already.
        with contextlib.suppress(AttributeError, OSError):
            if self._answer is not None:
                CancellableStream(iter(()), self._answer).close()


class _Upload:
    """A file that stops being readable when the build is ended."""

    def __init__(self, file: IO[bytes], ending: _Ending) -> None:
        self._file, self._ending = file, ending

    def read(self, size: int = -1) -> bytes:
        if self._ending.asked.is_set():
            raise requests.ConnectionError("ended")
        return self._file.read(size)

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self.read(_CHUNK):
            yield chunk
