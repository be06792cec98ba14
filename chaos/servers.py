"""Worker, API, Temporal and PostgreSQL as four processes, each of which may die; each is started again at once."""

import asyncio
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import psutil
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from chaos import memory
from chaos.kills import Blow
from chaos.node import READY, WORLD, api, worker
from chaos.worlds import MemoryWorld
from tests.e2e.forked import ForkedNode
from tests.e2e.harness import end_with_the_parent, until
from tests.e2e.topology import Api, Worker, topology

_BACK_S = 120.0


@dataclass
class ForkedApi(Api, ForkedNode):
    """Of a worker whose provider is in memory."""

    run: Callable[[], None] = api


@dataclass
class ForkedWorker(Worker, ForkedNode):
    run: Callable[[], None] = worker

    def _said(self) -> int:
        return self.log.read_text(errors="replace").count(READY) if self.log.exists() else 0


class Server:
    """A program that listens on a port of this machine, as it would be under a supervisor."""

    def __init__(self, port: int) -> None:
        self._process = _listening(port)
        self._argv = self._process.cmdline()
        self._environ = self._process.environ()
        self._cwd = self._process.cwd()
        self._user = self._process.uids().real

    def kill(self) -> None:
        """With all that it has started."""
        family = [self._process, *self._process.children(recursive=True)]
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(family, _BACK_S)

    def start(self) -> None:
        """As it was, unless it runs."""
        if self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE:
            return
        other = self._user if self._user != os.getuid() else None
        started = subprocess.Popen(
            self._argv,
            env=self._environ,
            cwd=self._cwd,
            user=other,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=end_with_the_parent,
        )
        self._process = psutil.Process(started.pid)


@dataclass
class SharedWorld(MemoryWorld):
    """Its store is on PostgreSQL."""

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return asyncio.run(_fetched(self.node.extra["IARNET_DATABASE_URL"], query))


@dataclass(frozen=True)
class Processes:
    worker: ForkedWorker
    api: ForkedApi
    temporal: Server
    postgresql: Server

    def blows(self) -> tuple[Blow, ...]:
        both = (self.temporal, self.postgresql)
        return (
            Blow("worker", 3, partial(self._blow, [self.worker])),
            Blow("API", 3, partial(self._blow, [self.api])),
            Blow("Temporal", 2, partial(self._blow, [self.temporal])),
            Blow("PostgreSQL", 2, partial(self._blow, [self.postgresql])),
            Blow("all four", 1, partial(self._blow, [self.worker, self.api, *both])),
        )

    def _blow(self, struck: Sequence[ForkedWorker | ForkedApi | Server], random: Random) -> float:
        began = time.monotonic()
        for each in struck:
            each.kill()
        for server in (self.postgresql, self.temporal):
            server.start()
        for ours in (self.worker, self.api):
            if ours in struck:
                ours.start()
        until(lambda: self._answer(struck), f"all is back:\n{self.worker.tail()}\n{self.api.tail()}", _BACK_S)
        return time.monotonic() - began

    def _answer(self, struck: Sequence[ForkedWorker | ForkedApi | Server]) -> bool:
        """What was struck and starts while what it needs does not answer yet gives up, and is started again; none of
        ours ends because a server is away for a while."""
        self.temporal.start()
        for ours in (self.worker, self.api):
            if ours.is_dead:
                assert ours in struck, f"{ours.command} has ended:\n{ours.tail()}"
                ours.start()
        return self.worker.answers and self.api.answers


@contextmanager
def on_servers(folder: Path) -> Iterator[SharedWorld]:
    with topology(folder, "none") as shared, memory.world(folder / "world.sock") as provider:
        extra = {**shared.shared, "IARNET_GATEWAY__ENABLED": "false", WORLD: str(folder / "world.sock")}
        made = Processes(
            ForkedWorker(folder / "worker", "none", extra=extra),
            ForkedApi(folder / "api", "none", extra=extra),
            Server(_port(shared.temporal_address)),
            Server(_port(shared.shared["IARNET_DATABASE_URL"].rpartition("/")[0])),
        )
        try:
            made.worker.up()
            made.api.up()
            yield SharedWorld(made.api, provider, made.blows(), name="servers")
        finally:
            made.api.end()
            made.worker.end()
            made.temporal.kill()
            made.postgresql.kill()


def _listening(port: int) -> psutil.Process:
    """The first one, if it has handed the port on to others."""
    found = {each.pid for each in psutil.net_connections("tcp") if each.status == "LISTEN" and port in each.laddr}
    return min((psutil.Process(pid) for pid in found if pid), key=psutil.Process.create_time)


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])


async def _fetched(url: str, query: str) -> list[tuple[Any, ...]]:
    engine = create_async_engine(url.replace("://", "+asyncpg://"))
    async with engine.connect() as connection:
        found = [tuple(row) for row in await connection.execute(text(query))]
    await engine.dispose()
    return found
