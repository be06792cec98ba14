"""Transactions, with the same promises on SQLite and PostgreSQL.

A transaction is a plain function of a connection. So it can't await anything but the database, SQLite runs it
in one go on its own thread (a quarter of the time that a hop per statement takes), and PostgreSQL can repeat it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from sqlalchemy import URL, ColumnElement, Connection, Table
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from iarnet.errors import NotFound, StoreUnavailable

T = TypeVar("T")

FOREIGN_KEY = "23503"
ABSENT = {"08", "28", "3D", "53", "57", "58"}
"""Classes of SQLSTATE: connection, authorization, no such database, resources, shutdown, system error."""
UNREADABLE = {"SQLITE_NOTADB", "SQLITE_CORRUPT"}


INSERT = "insert"
"""The option of every connection that holds its dialect's `insert`, the one that knows of conflicts."""


class Database(Protocol):
    """Each call is one transaction, rolled back when `work` raises.

    All raise `StoreUnavailable` when the database does not answer, and `NotFound` when a row names an app that
    is gone.
    """

    async def read(self, work: Callable[[Connection], T]) -> T: ...

    async def write(self, work: Callable[[Connection], T]) -> T: ...

    async def strictly(self, work: Callable[[Connection], T]) -> T:
        """Write as if no other transaction ran meanwhile; `work` may be repeated from the start."""
        ...

    async def aclose(self) -> None: ...


def upsert(
    connection: Connection,
    table: Table,
    key: dict[str, Any],
    values: dict[str, Any],
    where: ColumnElement[bool] | None = None,
) -> bool:
    """Insert the row, or give the one that has this key these values, if `where` holds for it; whether it does."""
    insert = _insert(connection, table).values(**key, **values)
    change = insert.on_conflict_do_update(index_elements=list(key), set_=values, where=where)
    return connection.execute(change).rowcount > 0


def insert_once(connection: Connection, table: Table, values: dict[str, Any]) -> None:
    """Insert the row unless one has its key."""
    connection.execute(_insert(connection, table).values(values).on_conflict_do_nothing())


@contextmanager
def explained(url: URL) -> Iterator[None]:
    """What the driver raises, as errors that say what to do."""
    try:
        yield
    except IntegrityError as error:
        if sqlstate(error) != FOREIGN_KEY and "FOREIGN KEY" not in str(error.orig):
            raise
        raise NotFound("the app is gone", hint="it was deleted meanwhile; import it again") from error
    except (OperationalError, InterfaceError, PoolTimeout, OSError) as error:
        raise _unavailable(url, error) from error
    except DBAPIError as error:
        if not _is_absence(error):
            raise
        raise _unavailable(url, error) from error


def sqlstate(error: DBAPIError) -> str | None:
    """PostgreSQL's five-character code, or None."""
    return getattr(error.orig, "sqlstate", None)


def location(url: URL) -> str:
    return url.render_as_string(hide_password=True)


def _insert(connection: Connection, table: Table) -> Any:
    return connection.get_execution_options()[INSERT](table)


def _is_absence(error: DBAPIError) -> bool:
    """Whether the database itself is missing, and not what was asked of it wrong."""
    code = (sqlstate(error) or "")[:2]
    return error.connection_invalidated or code in ABSENT or getattr(error.orig, "sqlite_errorname", "") in UNREADABLE


def _unavailable(url: URL, error: Exception) -> StoreUnavailable:
    what = error.orig if isinstance(error, DBAPIError) else error
    return StoreUnavailable(
        f"the database does not answer: {what}",
        where=location(url),
        hint="check that it runs, that its disk is not full, and that nothing else holds it locked",
    )
