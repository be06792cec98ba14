"""Applications: what was asked for."""

from datetime import datetime
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection, Row, delete, func, select, update

from iarnet.errors import AlreadyExists, InvalidInput, NotFound, StaleEpoch
from iarnet.models.app import App, AppStatus, Settings
from iarnet.models.source import GitSource
from iarnet.store.base import Clock
from iarnet.store.database import Database
from iarnet.store.tables import apps, deployments, leases, ports
from iarnet.store.traffic import raise_version


class SqlApps:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def create(self, name: str, git: GitSource, title: str = "") -> App:
        now = self._clock()
        return await self._database.strictly(lambda c: create_app(c, name=name, git=git, title=title, now=now))

    async def get(self, name: str) -> App:
        return await self._database.read(lambda connection: read_app(connection, name))

    async def list(self) -> list[App]:
        query = select(apps).order_by(apps.c.name)
        return await self._database.read(lambda connection: [app_of(row) for row in connection.execute(query)])

    async def set_status(self, name: str, status: AppStatus, epoch: int | None = None) -> None:
        await self._update(name, epoch, status=status)

    async def set_running(self, name: str, revision: int, commit: str, epoch: int) -> None:
        await self._update(name, epoch, status="running", revision=revision, commit=commit)

    async def set_settings(self, name: str, settings: Settings) -> None:
        await self._update(name, None, settings=settings)

    async def set_git(self, name: str, git: GitSource) -> None:
        await self._update(name, None, git=git)

    async def delete(self, name: str) -> None:
        await self._database.write(lambda connection: delete_app(connection, name))

    async def _update(self, name: str, epoch: int | None, **values: Any) -> None:
        change = update(apps).where(apps.c.name == name).values(updated_at=self._clock(), **values)
        if epoch is not None:
            change = change.where(apps.c.epoch <= epoch)

        def work(connection: Connection) -> None:
            if not connection.execute(change).rowcount:
                raise stale(read_app(connection, name), epoch or 0)

        await self._database.write(work)


def create_app(connection: Connection, *, name: str, git: GitSource, title: str, now: datetime) -> App:
    """The new app, or the one of this name and repository. Raises `AlreadyExists`, `InvalidInput`."""
    row = connection.execute(select(apps).where(apps.c.name == name)).one_or_none()
    if row:
        return adopt_git(connection, app_of(row), git, now)
    last = connection.scalar(select(func.max(deployments.c.epoch)).where(deployments.c.app == name))
    app = _new_app(name=name, title=title, git=git, epoch=last or 0, created_at=now, updated_at=now)
    connection.execute(apps.insert().values({key: getattr(app, key) for key in App.model_fields}))
    return app


def adopt_git(connection: Connection, app: App, git: GitSource, now: datetime) -> App:
    """The app with the ref, the folder and, when one is given, the credential of `git`."""
    if app.git.url != git.url:
        raise AlreadyExists(
            f"the name {app.name} is taken by an app from {app.git.url}",
            where=app.name,
            hint="choose another name, change that app's source, or delete it first",
        )
    git = git.model_copy(update={"credential": git.credential or app.git.credential})
    if git == app.git:
        return app
    connection.execute(update(apps).where(apps.c.name == app.name).values(git=git, updated_at=now))
    return app.model_copy(update={"git": git, "updated_at": now})


def delete_app(connection: Connection, name: str) -> None:
    raise_version(connection)
    for table in (leases, ports):
        connection.execute(delete(table).where(table.c.app == name))
    connection.execute(delete(apps).where(apps.c.name == name))


def read_app(connection: Connection, name: str) -> App:
    row = connection.execute(select(apps).where(apps.c.name == name)).one_or_none()
    if row is None:
        raise no_app(name)
    return app_of(row)


def app_of(row: Row[Any]) -> App:
    return App(**row._mapping)


def no_app(name: str) -> NotFound:
    return NotFound(f"there is no app {name}", where=name, hint="import it first by giving its Git URL")


def stale(app: App, epoch: int) -> StaleEpoch:
    return StaleEpoch(
        f"a newer change of {app.name} has begun (epoch {app.epoch}, this one has {epoch})",
        where=app.name,
        hint="look at the app's newest deployment; this one has nothing more to do",
    )


def _new_app(**values: Any) -> App:
    try:
        return App(**values)
    except ValidationError as error:
        raise InvalidInput(
            f"{values['name']!r} can't be the name of an app",
            where="name",
            hint="use 1 to 40 lower-case letters, digits and dashes, with a letter or digit at both ends",
        ) from error
