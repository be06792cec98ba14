"""Users who never stop asking."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_PATIENCE_S = 40.0


@dataclass
class Load:
    """What came back so far: `answers` counts bodies, `failures` says what went wrong instead, `failed` when each of
    those was begun."""

    answers: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    failed: list[float] = field(default_factory=list)

    @property
    def count(self) -> int:
        return sum(self.answers.values())


@contextmanager
def load(port: int, *, per_s: int = 50, path: str = "/") -> Iterator[Load]:
    """`per_s` requests a second to a port of this machine, each on a connection of its own, until the block ends."""
    seen = Load()
    done = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_ask(port, path, per_s, seen, done)))
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


async def _ask(port: int, path: str, per_s: int, seen: Load, done: threading.Event) -> None:
    async with asyncio.TaskGroup() as group:
        while not done.is_set():
            group.create_task(_one(port, path, seen))
            await asyncio.sleep(1 / per_s)


async def _one(port: int, path: str, seen: Load) -> None:
    begun = time.monotonic()
    try:
        async with asyncio.timeout(_PATIENCE_S):
            status, body = await get(port, path)
        problem = "" if status == 200 else f"{status} {body}"
    except (OSError, TimeoutError, ValueError) as error:
        problem = repr(error)
    if problem:
        seen.failures.append(problem)
        seen.failed.append(begun)
    else:
        seen.answers[body] = seen.answers.get(body, 0) + 1


async def get(port: int, path: str = "/") -> tuple[int, str]:
    """Status and body. Raises `ValueError` for an answer that is cut off."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        head, separator, body = (await reader.read(-1)).partition(b"\r\n\r\n")
    finally:
        writer.close()
    if not separator:
        raise ValueError(f"cut off after {head[:80]!r}")
    return int(head.split()[1]), body.decode().strip()
