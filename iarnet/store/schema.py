"""Bringing a database to the schema that this version knows."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from iarnet.errors import InvalidConfig
from iarnet.store.database import location

MIGRATIONS = Path(__file__).parent / "migrations"
LOCK = 0x1A12_4E7  # any number, as long as every version of this program locks the same


def upgrade(connection: Connection) -> None:
    """Migrate within the connection's transaction, which is all or nothing on both databases.

    Of several processes that open a database at once, one migrates and the others wait: on SQLite because the
    transaction began immediate, on PostgreSQL by an advisory lock. Raises `InvalidConfig` when a newer version
    has migrated it already.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    scripts = ScriptDirectory.from_config(config)
    current = MigrationContext.configure(connection).get_current_revision()
    if current == scripts.get_current_head():
        return
    _refuse_newer(connection, scripts, current)
    command.upgrade(config, "head")


def _refuse_newer(connection: Connection, scripts: ScriptDirectory, current: str | None) -> None:
    known = {script.revision for script in scripts.walk_revisions()}
    if current is None or current in known:
        return
    raise InvalidConfig(
        f"the database was written by a newer version: its schema is {current}, "
        f"this version knows up to {scripts.get_current_head()}",
        where=location(connection.engine.url),
        hint="install that newer version here, or point database_url to another database",
    )
