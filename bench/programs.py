"""The load program: built once a run, then asked to make requests, to answer them, or to hold connections."""

import asyncio
import json
import shutil
import struct
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parent / "load"
_RECORD = struct.Struct("<3q")
_END_S = 5.0
# Above the load program's own patience with one request.
_LATE_S = 60.0


@dataclass(frozen=True)
class Exchange:
    """One request. Times are nanoseconds since the epoch; `by` is who answered, "" for a failure."""

    sent: int
    ended: int
    by: str


@dataclass(frozen=True)
class Asked:
    """`per_s` are answers a second, `ms` latencies by percentile, counted from when a request was due."""

    asked: int
    per_s: float
    ms: dict[str, float]
    answers: dict[str, int]
    failed: int
    failures: list[dict[str, Any]]

    def __str__(self) -> str:
        return f"{self.per_s:,.0f}/s, p50 {self.ms['p50']:.1f} ms, p99 {self.ms['p99']:.1f} ms, {self.failed} failed"


@dataclass(frozen=True)
class LoadProgram:
    path: Path

    async def ask(
        self, to: str, *, seconds: float, rate: float = 0, connections: int = 64, path: str = "/", log: str = ""
    ) -> Asked:
        """Until the time is over. `rate` 0: each connection asks again as soon as it is answered."""
        async with (
            self.asking(to, seconds=seconds, rate=rate, connections=connections, path=path, log=log) as asking,
            asyncio.timeout(seconds + _LATE_S),
        ):
            return await asking.asked()

    @asynccontextmanager
    async def asking(self, to: str, **options: Any) -> AsyncIterator["Asking"]:
        """As `ask`, and to be ended before its time."""
        flags = {"to": to, "for": f"{options.pop('seconds')}s", **options}
        async with self._run("ask", *(f"-{name}={value}" for name, value in flags.items())) as process:
            yield Asking(process)

    @asynccontextmanager
    async def serving(self, *instances: str, after_ms: float = 0) -> AsyncIterator[Process]:
        """One process that answers for these, each `name=address:port`, with their names."""
        async with self._run("serve", f"-after={after_ms}ms", *instances) as process:
            await _next(process)
            yield process

    @asynccontextmanager
    async def holding(self, to: str, *, connections: int, source: str) -> AsyncIterator["Held"]:
        """Idle connections from the address `source`, each of which has been used once."""
        flags = {"to": to, "connections": connections, "from": source}
        async with self._run("hold", *(f"-{name}={value}" for name, value in flags.items())) as process:
            yield Held(process, **await _next(process))

    @asynccontextmanager
    async def _run(self, *arguments: str) -> AsyncIterator[Process]:
        process = await asyncio.create_subprocess_exec(
            self.path, *arguments, stdin=PIPE, stdout=PIPE, limit=1 << 26, start_new_session=True
        )
        try:
            yield process
        finally:
            await ended(process)


@dataclass(frozen=True)
class Asking:
    process: Process

    async def asked(self) -> Asked:
        """Once it has ended."""
        found = await _next(self.process)
        await self.process.wait()
        return Asked(**{name: found[name] for name in Asked.__dataclass_fields__})

    async def stop(self) -> Asked:
        self.process.terminate()
        return await self.asked()


@dataclass(frozen=True)
class Held:
    """`problem` says why there are no more."""

    process: Process
    held: int
    problem: str

    async def alive(self) -> tuple[int, str]:
        """How many still answer, and what became of the first that does not; it ends them."""
        assert self.process.stdin
        self.process.stdin.write(b"\n")
        found = await _next(self.process)
        await self.process.wait()
        return int(found["alive"]), str(found["problem"])


async def load_program(folder: Path) -> LoadProgram:
    go = shutil.which("go") or "/usr/local/go/bin/go"
    path = folder / "load"
    process = await asyncio.create_subprocess_exec(go, "build", "-o", path, ".", cwd=SOURCE)
    if await process.wait():
        raise SystemExit("The load program can't be built; Go 1.19 or later is needed.")
    return LoadProgram(path)


def exchanges(log: Path, answers: Iterable[str]) -> list[Exchange]:
    """What `ask` has logged, in the order in which it was sent."""
    names = [*sorted(answers), ""]  # -1 is a failure
    return [Exchange(sent, ended, names[index]) for sent, ended, index in _RECORD.iter_unpack(log.read_bytes())]


async def ended(process: Process) -> None:
    if process.returncode is None:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _END_S)
        except TimeoutError:
            process.kill()
            await process.wait()


async def _next(process: Process) -> dict[str, Any]:
    assert process.stdout
    if line := await process.stdout.readline():
        found: dict[str, Any] = json.loads(line)
        return found
    raise SystemExit(f"The load program ended with {await process.wait()}; what it said is above.")
