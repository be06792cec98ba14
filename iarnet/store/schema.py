"""Bringing a database to the schema that this version knows."""

from sqlalchemy import Connection, inspect, text

HEAD = "0006"
"""The newest of `migrations/versions`."""

LOCK = 0x1A12_4E7  # any number, as long as every version of this program locks the same


def upgrade(connection: Connection) -> None:
    """Migrate within the connection's transaction, which is all or nothing on both databases.

    Of several processes that open a database at once, one migrates and the others wait: on SQLite because the
    transaction began immediate, on PostgreSQL by an advisory lock. Raises `InvalidConfig` when a newer version
    has migrated it already.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
    if _revision(connection) == HEAD:
        return
    # Imported here: nearly every start finds nothing to do, and alembic takes longer to import than this to find it.
    from iarnet.store.migrating import migrate

    migrate(connection)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found
