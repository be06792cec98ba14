"""Sources, analyses and revisions: what an app was at one point."""

from typing import Any

from sqlalchemy import Connection, Select, select

from iarnet.errors import Conflict
from iarnet.models.analysis import Analysis
from iarnet.models.app import Revision
from iarnet.models.source import Source
from iarnet.store.base import Clock
from iarnet.store.database import Database, insert_once, upsert
from iarnet.store.tables import analyses, revisions, sources


class Snapshots:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def save_source(self, source: Source) -> None:
        key = {"app": source.app, "commit": source.commit}
        values = {"source": source, "fetched_at": source.fetched_at}
        await self._database.write(lambda connection: upsert(connection, sources, key, values))

    async def source(self, app: str, commit: str = "") -> Source | None:
        query = select(sources.c.source).where(sources.c.app == app)
        query = query.where(sources.c.commit == commit) if commit else query.order_by(sources.c.fetched_at.desc())
        return await self._database.read(lambda connection: connection.scalar(query.limit(1)))

    async def source_of(self, app: str, tree: str) -> Source | None:
        query = select(sources.c.source).where(sources.c.app == app).order_by(sources.c.fetched_at.desc())
        found: list[Source] = await self._database.read(lambda connection: list(connection.scalars(query)))
        return next((source for source in found if source.tree == tree), None)

    async def save_analysis(self, app: str, analysis: Analysis) -> None:
        key = {"app": app, "tree": analysis.tree}
        await self._database.write(lambda connection: upsert(connection, analyses, key, {"analysis": analysis}))

    async def analysis(self, app: str, tree: str) -> Analysis | None:
        query = select(analyses.c.analysis).where(analyses.c.app == app, analyses.c.tree == tree)
        return await self._database.read(lambda connection: connection.scalar(query))

    async def save_revision(self, revision: Revision) -> None:
        values = {"app": revision.app, "number": revision.number, "revision": revision}

        def work(connection: Connection) -> Any:
            insert_once(connection, revisions, values)
            return connection.scalar(_revision(revision.app, revision.number))

        saved = await self._database.write(work)
        if _content(saved) != _content(revision):
            raise Conflict(
                f"revision {revision.number} of {revision.app} exists with other content",
                where=f"{revision.app} revision {revision.number}",
                hint="a revision never changes; save the new state under the next number",
            )

    async def revision(self, app: str, number: int) -> Revision | None:
        return await self._database.read(lambda connection: connection.scalar(_revision(app, number)))

    async def revisions(self, app: str, limit: int | None = None) -> list[Revision]:
        query = select(revisions.c.revision).where(revisions.c.app == app).order_by(revisions.c.number.desc())
        query = query.limit(limit)
        return await self._database.read(lambda connection: list(connection.scalars(query)))


def _revision(app: str, number: int) -> Select[Any]:
    return select(revisions.c.revision).where(revisions.c.app == app, revisions.c.number == number)


def _content(revision: Revision) -> dict[str, Any]:
    """Without the time: a repeated activity makes the same revision a little later."""
    return revision.model_dump(exclude={"created_at"})
