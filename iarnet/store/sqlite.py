"""SQLite: one file, one host, any number of processes on it."""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, create_engine, event
from sqlalchemy.dialects.sqlite import insert

from iarnet.store.database import INSERT, explained

T = TypeVar("T")

READERS = 4


class Sqlite:
    """Fulfils `Database`.

    Writers of this process queue for one thread, first come, first served: SQLite's own queue is a poll with
    growing sleeps. Readers don't wait for them (WAL).
    """

    def __init__(self, url: URL, busy_timeout_s: float = 5.0) -> None:
        """`busy_timeout_s`: how long a writer waits for one in another process."""
        self._url = url
        self._busy_timeout_s = busy_timeout_s
        options = {"timeout": busy_timeout_s, "isolation_level": None, "check_same_thread": False}
        pool = {"pool_size": READERS + 1, "max_overflow": 0}
        self._engine = create_engine(url, connect_args=options, execution_options={INSERT: insert}, **pool)
        event.listen(self._engine, "connect", self._prepare)
        event.listen(self._engine, "begin", _begin)
        self._writing = self._engine.execution_options(immediate=True)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="store-writer")
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")

    async def read(self, work: Callable[[Connection], T]) -> T:
        """All of `work` sees one snapshot."""

        def transaction() -> T:
            with explained(self._url), self._engine.connect() as connection:
                return work(connection)

        return await asyncio.get_running_loop().run_in_executor(self._readers, transaction)

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Once begun it ends, also when the caller is cancelled meanwhile."""

        def transaction() -> T:
            with explained(self._url), self._writing.begin() as connection:
                return work(connection)

        return await asyncio.get_running_loop().run_in_executor(self._writer, transaction)

    async def strictly(self, work: Callable[[Connection], T]) -> T:
        """There is one writer at a time anyway."""
        return await self.write(work)

    async def aclose(self) -> None:
        for threads in (self._writer, self._readers):
            await asyncio.to_thread(threads.shutdown)
        self._engine.dispose()

    def _prepare(self, connection: Any, _record: object) -> None:
        _switch_to_wal(connection, time.monotonic() + self._busy_timeout_s)
        for pragma in ("synchronous = NORMAL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}").close()


def _switch_to_wal(connection: Any, deadline: float) -> None:
    """A new file is switched once. SQLite waits for other processes in every statement but this one."""
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").close()
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


def _begin(connection: Connection) -> None:
    """A deferred transaction that turns to writing fails when it meets another writer; an immediate one waits."""
    immediate = connection.get_execution_options().get("immediate")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
