"""Sealed values by name. Sealing and opening them is `iarnet.secrets`' work."""

from sqlalchemy import ColumnElement, delete, func, select

from iarnet.store.base import Clock
from iarnet.store.database import Database, upsert
from iarnet.store.tables import secrets


class SqlSecretRows:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def put(self, name: str, sealed: bytes) -> None:
        values = {"sealed": sealed, "written_at": self._clock()}
        await self._database.write(lambda connection: upsert(connection, secrets, {"name": name}, values))

    async def get(self, name: str) -> bytes | None:
        query = select(secrets.c.sealed).where(secrets.c.name == name)
        return await self._database.read(lambda connection: connection.scalar(query))

    async def delete(self, prefix: str) -> None:
        which = delete(secrets).where(_begins_with(prefix))
        await self._database.write(lambda connection: connection.execute(which))

    async def names(self, prefix: str = "") -> list[str]:
        query = select(secrets.c.name).where(_begins_with(prefix)).order_by(secrets.c.name)
        return await self._database.read(lambda connection: list(connection.scalars(query)))


def _begins_with(prefix: str) -> ColumnElement[bool]:
    """Not LIKE, which ignores case on SQLite and reads `_` as any letter."""
    return func.substr(secrets.c.name, 1, len(prefix)) == prefix
