"""Running one program to its end, or ending it with all its children."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from iarnet.errors import SourceError

_ERRORS_KEPT = 64_000
_WATCH_S = 0.1


@dataclass(frozen=True)
class Finished:
    code: int
    out: bytes
    err: str


async def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: str = "/",
    watch: Callable[[], None] | None = None,
    out_limit: int = 64_000_000,
) -> Finished:
    """`env` is the whole environment. When `watch` (called ten times a second) raises, or the caller is cancelled,
    the program's process group is killed. More than `out_limit` bytes of output are a `SourceError`."""
    process = await _started(argv, env, cwd)
    try:
        async with asyncio.TaskGroup() as tasks:
            out = tasks.create_task(_all(process.stdout, out_limit))
            err = tasks.create_task(_last(process.stderr))
            ended = tasks.create_task(process.wait())
            while watch and not ended.done():
                await asyncio.wait({ended}, timeout=_WATCH_S)
                watch()
    except* Exception as group:
        raise group.exceptions[0] from None
    finally:
        await _kill(process)
    return Finished(ended.result(), out.result(), err.result())


async def _started(argv: Sequence[str], env: Mapping[str, str], cwd: str) -> asyncio.subprocess.Process:
    starting = asyncio.create_task(
        asyncio.create_subprocess_exec(
            *argv,
            env=dict(env),
            cwd=cwd,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        # It may have children already, of which asyncio knows nothing.
        await _kill(await starting)
        raise


async def _all(stream: asyncio.StreamReader | None, limit: int) -> bytes:
    chunks = bytearray()
    while stream and (chunk := await stream.read(65_536)):
        chunks += chunk
        if len(chunks) > limit:
            raise SourceError(
                "The server sent more than any repository should.", hint="Give a full commit as the ref."
            )
    return bytes(chunks)


async def _last(stream: asyncio.StreamReader | None) -> str:
    kept = b""
    while stream and (chunk := await stream.read(65_536)):
        kept = (kept + chunk)[-_ERRORS_KEPT:]
    return kept.decode("utf-8", "replace")


async def _kill(process: asyncio.subprocess.Process) -> None:
    """Also when the leader has ended: its children may not have."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    await asyncio.shield(process.wait())
