"""Endless answers of the engine (events, logs, pulls) as asynchronous iterators."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_AHEAD = 1000


class Stream(Protocol[T_co]):
    """A blocking iterator that another thread can end by closing it."""

    def __iter__(self) -> Iterator[T_co]: ...

    def close(self) -> None: ...


async def pump(
    open_stream: Callable[[], Stream[T]], translate: Callable[[Exception], Exception]
) -> AsyncGenerator[T, None]:
    """The items of a stream that is opened and read on a thread of its own, never more than 1000 ahead.

    Raises what opening or reading raises, translated. Leaving the iterator closes the stream and ends the thread.
    """
    reader = _Reader(open_stream)
    reader.start()
    try:
        while not isinstance(item := await reader.items.get(), _End):
            reader.room.release()
            yield item
        if item.error is not None:
            raise translate(item.error) from item.error
    finally:
        reader.stop()


class _End:
    def __init__(self, error: Exception | None) -> None:
        self.error = error


class _Reader(Generic[T]):
    def __init__(self, open_stream: Callable[[], Stream[T]]) -> None:
        self.items: asyncio.Queue[T | _End] = asyncio.Queue()
        self.room = threading.Semaphore(_AHEAD)
        self._open = open_stream
        self._loop = asyncio.get_running_loop()
        self._stream: Stream[T] | None = None
        self._stopped = threading.Event()
        self._lock = threading.Lock()

    def start(self) -> None:
        threading.Thread(target=self._run, name="docker-stream", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()
        self.room.release()
        with self._lock:
            self._close()

    def _run(self) -> None:
        error = None
        try:
            self._read()
        except Exception as e:
            error = e
        self._hand_over(_End(error))

    def _read(self) -> None:
        stream = self._open()
        with self._lock:
            self._stream = stream
            if self._stopped.is_set():
                return self._close()
        for item in stream:
            self.room.acquire()
            if self._stopped.is_set():
                return None
            self._hand_over(item)
        return None

    def _close(self) -> None:
        if self._stream is None:
            return
        # The SDK looks for the socket inside the response; when the stream has ended, it is gone already.
        with contextlib.suppress(AttributeError, OSError):
            self._stream.close()

    def _hand_over(self, item: T | _End) -> None:
        # The loop may be closed when the process ends while a stream is open.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self.items.put_nowait, item)
