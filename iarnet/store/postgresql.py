"""PostgreSQL: nodes on several hosts."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, event
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.ext.asyncio import create_async_engine

from iarnet.errors import StoreUnavailable
from iarnet.store.database import INSERT, explained, location, sqlstate

T = TypeVar("T")

ATTEMPTS = 20
COLLISIONS = {"40001", "40P01", "23505"}
"""serialization_failure, deadlock_detected, and a unique_violation by a row that was not there when `work` looked.

Nothing has happened, and it may well succeed when it is repeated.
"""


CONNECTIONS = 10
"""Of each process, and never more: one that is opened for a moment costs as much as ten transactions."""
_FRESH_S = 1.0


class Postgresql:
    """Fulfils `Database`. Belongs to the event loop that first uses it."""

    def __init__(self, url: URL) -> None:
        self._url = url
        pool = {"pool_size": CONNECTIONS, "max_overflow": 0}
        self._engine = create_async_engine(url, execution_options={INSERT: insert}, **pool)
        _ask_when_idle(self._engine.sync_engine)
        self._reading = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._strict = self._engine.execution_options(isolation_level="SERIALIZABLE")
        # What collides is thrown away, so the strict ones of this process go one after the other.
        self._turn = asyncio.Lock()

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Each statement sees what was there when it began, as in a transaction that is READ COMMITTED."""
        with explained(self._url):
            async with self._reading.connect() as connection:
                return await connection.run_sync(work)

    async def write(self, work: Callable[[Connection], T]) -> T:
        """READ COMMITTED."""
        with explained(self._url):
            async with self._engine.begin() as connection:
                return await connection.run_sync(work)

    async def strictly(self, work: Callable[[Connection], T]) -> T:
        """SERIALIZABLE; repeated when it collides with another process. Raises `StoreUnavailable` after 20 times."""
        with explained(self._url):
            async with self._turn:
                for attempt in range(ATTEMPTS):
                    try:
                        async with self._strict.begin() as connection:
                            return await connection.run_sync(work)
                    except DBAPIError as error:
                        if sqlstate(error) not in COLLISIONS:
                            raise
                    await asyncio.sleep(min(0.1, 0.002 * 2**attempt))
        raise StoreUnavailable(
            f"a transaction collided with others {ATTEMPTS} times in a row",
            where=location(self._url),
            hint="try again; if it persists, look for what holds a transaction open on this database",
        )

    async def aclose(self) -> None:
        await self._engine.dispose()


def _ask_when_idle(engine: Engine) -> None:
    """Whether a connection is still there. SQLAlchemy's own `pool_pre_ping` asks before each transaction, and takes
    longer than most of them."""

    def note(_connection: Any, record: Any) -> None:
        record.info["used_at"] = time.monotonic()

    def ask(connection: Any, record: Any, _proxy: Any) -> None:
        if time.monotonic() - record.info.get("used_at", time.monotonic()) < _FRESH_S:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError from error

    event.listen(engine, "checkin", note)
    event.listen(engine, "checkout", ask)
