"""Who this installation is."""

from sqlalchemy import Connection, select

from iarnet.store.database import Database, insert_once
from iarnet.store.tables import installation

_ONLY = 1


class SqlInstallation:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def owner(self, proposed: str) -> str:
        return await self._database.write(lambda connection: _owner(connection, proposed))


def _owner(connection: Connection, proposed: str) -> str:
    insert_once(connection, installation, {"only": _ONLY, "owner": proposed})
    owner: str = connection.scalars(select(installation.c.owner)).one()
    return owner
