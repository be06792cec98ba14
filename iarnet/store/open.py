"""Opening the store."""

from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from iarnet.errors import InvalidConfig, Missing
from iarnet.store.base import Clock
from iarnet.store.database import Database
from iarnet.store.schema import upgrade
from iarnet.store.sql import SqlStore
from iarnet.store.sqlite import Sqlite


async def open_store(url: str, clock: Clock) -> SqlStore:
    """The store at `sqlite:///path` or `postgresql://user:password@host/name`, migrated to this version.

    A SQLite file is made when there is none (mode 0600: it holds sealed secrets). `clock` gives timezone-aware
    times. Raises `InvalidConfig` for another kind of URL and for a database that a newer version has written,
    `StoreUnavailable` when it does not answer, `Missing` when the file can't be made.
    """
    database = database_at(url)
    try:
        await database.write(upgrade)
    except BaseException:
        await database.aclose()
        raise
    return SqlStore(database, clock)


def database_at(url: str) -> Database:
    """The database as it is, not migrated. Raises as `open_store`."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise _refused("database_url is not a URL") from None
    match parsed.drivername.partition("+")[0]:
        case "sqlite":
            return _sqlite(parsed)
        case "postgresql" | "postgres":
            return _postgresql(parsed)
        case other:
            raise _refused(f"database_url names {other}, which is not supported")


def _sqlite(url: URL) -> Database:
    if url.database in (None, "", ":memory:"):
        raise _refused("database_url names no file, and the store is shared by several connections")
    path = Path(str(url.database))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError as error:
        raise Missing(
            f"the database file can't be made: {error.strerror}",
            where=str(path),
            hint="check the folder's owner and permissions, or set database_url to another place",
        ) from error
    return Sqlite(url.set(drivername="sqlite"))


def _postgresql(url: URL) -> Database:
    """Takes `sslmode`, as libpq and every hosting page write it."""
    # Imported here: most nodes never need the driver, and every start would wait for it.
    from iarnet.store.postgresql import Postgresql

    query = {("ssl" if key == "sslmode" else key): value for key, value in url.query.items()}
    return Postgresql(url.set(drivername="postgresql+asyncpg", query=query))


def _refused(message: str) -> InvalidConfig:
    return InvalidConfig(
        message, where="database_url", hint="write sqlite:////path/to/file.db or postgresql://user:password@host/name"
    )
