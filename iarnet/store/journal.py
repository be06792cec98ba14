"""Events and build logs: an app's story."""

from typing import Any

from sqlalchemy import Connection, Row, select, text

from iarnet.models.app import Event
from iarnet.store.base import Clock
from iarnet.store.database import Database, upsert
from iarnet.store.tables import build_logs, events

BUILD_LOG_LINES = 2000


class Journal:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def add_event(self, event: Event) -> Event:
        insert = events.insert().values(app=event.app, event=event).returning(events.c.id)

        def work(connection: Connection) -> int:
            if connection.dialect.name == "postgresql":
                # Numbers are drawn before commit: without the lock a reader that follows by number could see
                # 6 before 5 and never ask for 5 again.
                connection.execute(text("LOCK TABLE events IN SHARE ROW EXCLUSIVE MODE"))
            number: int = connection.execute(insert).scalar_one()
            return number

        return event.model_copy(update={"id": await self._database.write(work)})

    async def events(self, app: str | None = None, after: int = 0, limit: int = 200) -> list[Event]:
        query = select(events.c.id, events.c.event).where(events.c.id > after).order_by(events.c.id).limit(limit)
        if app is not None:
            query = query.where(events.c.app == app)
        return await self._database.read(lambda connection: [_event_of(row) for row in connection.execute(query)])

    async def save_build_log(self, app: str, component: str, image: str, lines: tuple[str, ...]) -> None:
        key = {"app": app, "component": component}
        values = {"image": image, "lines": lines[-BUILD_LOG_LINES:], "written_at": self._clock()}
        await self._database.write(lambda connection: upsert(connection, build_logs, key, values))

    async def build_log(self, app: str, component: str) -> tuple[str, ...]:
        query = select(build_logs.c.lines).where(build_logs.c.app == app, build_logs.c.component == component)
        return await self._database.read(lambda connection: connection.scalar(query)) or ()


def _event_of(row: Row[Any, Any]) -> Event:
    event: Event = row.event
    return event.model_copy(update={"id": row.id})
