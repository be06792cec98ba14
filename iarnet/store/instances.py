"""Instances: the intent, and the last that a provider said."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from iarnet.errors import SpecMismatch
from iarnet.models.instance import Instance, InstanceSpec
from iarnet.store.apps import app_of, no_app, stale
from iarnet.store.base import Clock
from iarnet.store.database import Database, upsert
from iarnet.store.ledger import activate, release
from iarnet.store.tables import apps, instances


class SqlInstances:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def intend(self, spec: InstanceSpec, provider_id: str, *, lease: str = "") -> None:
        key = {"name": spec.name, "provider_id": provider_id}
        values = {"app": spec.app, "epoch": spec.epoch, "spec": spec, "intended_at": self._clock()}
        # The row stays locked, so that no newer change begins between the check and the intent.
        query = select(apps).where(apps.c.name == spec.app).with_for_update(read=True)

        def work(connection: Connection) -> None:
            row = connection.execute(query).one_or_none()
            if row is None:
                raise no_app(spec.app)
            if row.epoch > spec.epoch:
                raise stale(app_of(row), spec.epoch)
            if not upsert(connection, instances, key, values, where=instances.c.app == spec.app):
                holder = select(instances.c.app).where(*(instances.c[k] == v for k, v in key.items()))
                raise _not_ours(spec, connection.scalar(holder) or "another app")
            if lease:
                activate(connection, lease)

        await self._database.write(work)

    async def spec(self, name: str) -> InstanceSpec | None:
        newest = (instances.c.epoch.desc(), instances.c.intended_at.desc())
        query = select(instances.c.spec).where(instances.c.name == name).order_by(*newest).limit(1)
        return await self._database.read(lambda connection: connection.scalar(query))

    async def record(self, instance: Instance) -> None:
        which = (instances.c.name == instance.name, instances.c.provider_id == instance.provider_id)
        query = select(instances.c.instance).where(*which).with_for_update()
        change = update(instances).where(*which).values(instance=instance)

        def work(connection: Connection) -> None:
            if connection.execute(change.where(instances.c.instance.is_(None))).rowcount:
                return  # the first that is heard of it
            known = connection.scalar(query)
            if known is not None and known != instance and not _outdated(instance, known):
                connection.execute(change)

        await self._database.write(work)

    async def list(
        self, app: str | None = None, provider_id: str | None = None, names: Collection[str] | None = None
    ) -> list[Instance]:
        query = select(instances).order_by(instances.c.name, instances.c.provider_id)
        if app is not None:
            query = query.where(instances.c.app == app)
        if provider_id is not None:
            query = query.where(instances.c.provider_id == provider_id)
        if names is not None:
            query = query.where(instances.c.name.in_(names))
        return await self._database.read(lambda c: [row.instance or _pending(row) for row in c.execute(query)])

    async def forget(self, name: str, provider_id: str | None = None, *, lease: str = "") -> None:
        which = delete(instances).where(instances.c.name == name)
        if provider_id is not None:
            which = which.where(instances.c.provider_id == provider_id)

        def work(connection: Connection) -> None:
            connection.execute(which)
            if lease:
                release(connection, [lease])

        await self._database.write(work)


def _not_ours(spec: InstanceSpec, holder: str) -> SpecMismatch:
    return SpecMismatch(
        f"{spec.name} is an instance of {holder}",
        where=spec.name,
        component=spec.component,
        hint=f"give {spec.app}, or its component {spec.component}, another name",
    )


def _outdated(new: Instance, known: Instance) -> bool:
    """Whether `new` tells of an earlier moment: an older epoch, an earlier start, or the life before an end."""
    if new.epoch != known.epoch:
        return new.epoch < known.epoch
    if new.started_at is None or known.started_at is None:
        return False
    if new.started_at != known.started_at:
        return new.started_at < known.started_at
    return new.state == "running" and new.finished_at is None and known.finished_at is not None


def _pending(row: Row[Any]) -> Instance:
    spec: InstanceSpec = row.spec
    same = {key: getattr(spec, key) for key in ("name", "app", "component", "replica", "revision", "epoch")}
    return Instance(
        **same,
        provider_id=row.provider_id,
        spec_hash=spec.spec_hash,
        state="pending",
        image=spec.image,
        ports=spec.ports,
    )
