"""Providers: what the user registered, and what was last seen of each."""

from typing import Any

from sqlalchemy import Connection, delete, select

from iarnet.errors import AlreadyExists
from iarnet.models.provider import ProviderRegistration, ProviderState
from iarnet.store.database import Database, insert_once, upsert
from iarnet.store.tables import provider_states, registrations


class SqlProviderRows:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def register(self, registration: ProviderRegistration) -> None:
        values = {"id": registration.id, "registration": registration}
        query = select(registrations.c.registration).where(registrations.c.id == registration.id)

        def work(connection: Connection) -> Any:
            insert_once(connection, registrations, values)
            return connection.scalar(query)

        if await self._database.write(work) != registration:
            raise AlreadyExists(
                f"the provider id {registration.id} is taken by another registration",
                where=registration.id,
                hint="choose another id, or remove that provider first",
            )

    async def registrations(self) -> list[ProviderRegistration]:
        query = select(registrations.c.registration).order_by(registrations.c.id)
        return await self._database.read(lambda connection: list(connection.scalars(query)))

    async def unregister(self, provider_id: str) -> None:
        def work(connection: Connection) -> None:
            for table in (registrations, provider_states):
                connection.execute(delete(table).where(table.c.id == provider_id))

        await self._database.write(work)

    async def save_state(self, state: ProviderState) -> None:
        values = {"state": state, "seen_at": state.seen_at}
        newer = provider_states.c.seen_at <= state.seen_at
        key = {"id": state.info.id}
        await self._database.write(lambda connection: upsert(connection, provider_states, key, values, newer))

    async def claim(self, state: ProviderState) -> str:
        values = {"id": state.info.id, "state": state, "seen_at": state.seen_at}
        query = select(provider_states.c.state).where(provider_states.c.id == state.info.id)

        def work(connection: Connection) -> str:
            insert_once(connection, provider_states, values)
            held: ProviderState = connection.scalars(query).one()
            return held.info.home

        return await self._database.write(work)

    async def states(self) -> list[ProviderState]:
        query = select(provider_states.c.state).order_by(provider_states.c.id)
        return await self._database.read(lambda connection: list(connection.scalars(query)))
