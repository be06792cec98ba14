"""Deployments: the executions of plans. The newest of an app has its highest epoch."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select, update

from iarnet.errors import NotFound, StaleEpoch
from iarnet.models.app import App, AppStatus
from iarnet.models.change import Begin, Deployment, DeploymentStatus, Failure, Progress
from iarnet.models.plan import Cause, Plan
from iarnet.store.apps import adopt_git, app_of, create_app, delete_app, no_app
from iarnet.store.base import Clock
from iarnet.store.database import Database
from iarnet.store.tables import apps, deployments

STATUS: dict[Cause, AppStatus] = {"stop": "stopping", "delete": "deleting"}
COLUMNS = [column for column in deployments.c if column.name != "plan"]
SUPERSEDED = Failure(
    code="StaleEpoch",
    message="superseded by a newer run",
    hint="its workflow was terminated or reset; look at the newest deployment",
)


class Deployments:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def begin(self, begin: Begin) -> Deployment:
        now = self._clock()
        return await self._database.strictly(lambda connection: _begin(connection, begin, now))

    async def finish(
        self, deployment_id: str, status: DeploymentStatus, progress: Progress, failure: Failure | None
    ) -> None:
        now = self._clock()

        def work(connection: Connection) -> None:
            deployment = _read(connection, deployment_id)
            if deployment.status == status:
                return
            _refuse_superseded(connection, deployment)
            values = {"status": status, "failure": failure, "finished_at": now}
            _update(connection, deployment_id, progress, **values)
            if deployment.cause == "delete" and status == "succeeded":
                # Together: who knows of the end may make an app of this name, which this must not take along.
                delete_app(connection, deployment.app)

        await self._database.strictly(work)

    async def save_progress(self, deployment_id: str, progress: Progress) -> None:
        def work(connection: Connection) -> None:
            deployment = _read(connection, deployment_id)
            _refuse_superseded(connection, deployment)
            if deployment.status == "running":
                _update(connection, deployment_id, progress)

        await self._database.strictly(work)

    async def deployment(self, deployment_id: str) -> Deployment:
        return await self._database.read(lambda connection: _read(connection, deployment_id))

    async def run(self, run_id: str) -> Deployment | None:
        return await self._database.read(lambda connection: _of_run(connection, run_id))

    async def deployments(self, app: str, limit: int = 50) -> list[Deployment]:
        query = select(*COLUMNS).where(deployments.c.app == app).order_by(deployments.c.number.desc()).limit(limit)
        return await self._database.read(lambda c: [_deployment_of(row) for row in c.execute(query)])

    async def proven(self, app: str) -> int:
        ended_well = (deployments.c.app == app, deployments.c.status == "succeeded")
        query = select(func.max(deployments.c.epoch)).where(*ended_well)
        return await self._database.read(lambda connection: connection.scalar(query)) or 0

    async def save_plan(self, deployment_id: str, plan: Plan) -> None:
        values = {"plan": plan, "revision": plan.revision, "previous_revision": plan.previous_revision}
        change = update(deployments).where(deployments.c.id == deployment_id).values(**values)

        def work(connection: Connection) -> None:
            if not connection.execute(change).rowcount:
                raise _no_deployment(deployment_id)

        await self._database.write(work)

    async def plan(self, deployment_id: str) -> Plan | None:
        query = select(deployments.c.plan).where(deployments.c.id == deployment_id)
        return await self._database.read(lambda connection: connection.scalar(query))


def _begin(connection: Connection, begin: Begin, now: datetime) -> Deployment:
    if begun := _of_run(connection, begin.run_id):
        return begun
    app = _app_for(connection, begin, now)
    newest = connection.execute(_newest(begin.app)).one_or_none()
    if newest and newest.status == "running":
        _supersede(connection, _deployment_of(newest), now)
    number = newest.number + 1 if newest else 1
    deployment = Deployment(
        id=f"{begin.app}.{number}",
        number=number,
        epoch=app.epoch + 1,
        previous_revision=app.revision,
        started_at=now,
        **begin.model_dump(exclude={"git"}),
    )
    values = {"epoch": deployment.epoch, "status": STATUS.get(begin.cause, "deploying"), "updated_at": now}
    connection.execute(update(apps).where(apps.c.name == app.name).values(**values))
    connection.execute(deployments.insert().values({k: getattr(deployment, k) for k in Deployment.model_fields}))
    return deployment


def _app_for(connection: Connection, begin: Begin, now: datetime) -> App:
    row = connection.execute(select(apps).where(apps.c.name == begin.app)).one_or_none()
    if row:
        app = app_of(row)
        return adopt_git(connection, app, begin.git, now) if begin.git else app
    if begin.git is None:
        raise no_app(begin.app)
    return create_app(connection, name=begin.app, git=begin.git, title="", now=now)


def _supersede(connection: Connection, deployment: Deployment, now: datetime) -> None:
    progress = deployment.progress or Progress(app=deployment.app, deployment_id=deployment.id)
    progress = progress.model_copy(update={"status": "failed", "failure": SUPERSEDED})
    _update(connection, deployment.id, progress, status="failed", failure=SUPERSEDED, finished_at=now)


def _refuse_superseded(connection: Connection, deployment: Deployment) -> None:
    newest = connection.execute(_newest(deployment.app)).one()
    if newest.epoch > deployment.epoch:
        raise StaleEpoch(
            f"deployment {deployment.id} was superseded by {newest.id}",
            where=deployment.id,
            hint="look at the newer one; this one has nothing more to say",
        )


def _update(connection: Connection, deployment_id: str, progress: Progress, **values: Any) -> None:
    if progress.revision:
        values["revision"] = progress.revision
    change = update(deployments).where(deployments.c.id == deployment_id)
    connection.execute(change.values(progress=progress, **values))


def _read(connection: Connection, deployment_id: str) -> Deployment:
    query = select(*COLUMNS).where(deployments.c.id == deployment_id)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise _no_deployment(deployment_id)
    return _deployment_of(row)


def _of_run(connection: Connection, run_id: str) -> Deployment | None:
    row = connection.execute(select(*COLUMNS).where(deployments.c.run_id == run_id)).one_or_none()
    return _deployment_of(row) if row else None


def _newest(app: str) -> Select[Any]:
    return select(*COLUMNS).where(deployments.c.app == app).order_by(deployments.c.number.desc()).limit(1)


def _deployment_of(row: Row[Any]) -> Deployment:
    return Deployment(**row._mapping)


def _no_deployment(deployment_id: str) -> NotFound:
    return NotFound(
        f"there is no deployment {deployment_id}", where=deployment_id, hint="list the deployments of its app"
    )
