"""Running the migrations that a database lacks."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from iarnet.errors import InvalidConfig
from iarnet.store.database import location

MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(connection: Connection, to: str = "head") -> None:
    """To this revision, in the connection's transaction. Raises `InvalidConfig` for a database of a newer version."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    _refuse_newer(connection, ScriptDirectory.from_config(config))
    command.upgrade(config, to)


def _refuse_newer(connection: Connection, scripts: ScriptDirectory) -> None:
    current = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in scripts.walk_revisions()}
    if current is None or current in known:
        return
    raise InvalidConfig(
        f"the database was written by a newer version: its schema is {current}, "
        f"this version knows up to {scripts.get_current_head()}",
        where=location(connection.engine.url),
        hint="install that newer version here, or point database_url to another database",
    )
