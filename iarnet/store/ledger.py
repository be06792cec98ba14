"""The ledger: reserve, then use. Every call is one transaction that runs as if it were alone."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, func, not_, or_, select, update

from iarnet.errors import InvalidInput, NoRoom, NotFound, SpecMismatch
from iarnet.models.lease import Lease, Place
from iarnet.models.quantity import format_millis, format_size
from iarnet.models.resources import Resources
from iarnet.store import tables
from iarnet.store.base import Clock
from iarnet.store.database import Database

COUNTED = ("memory_bytes", "storage_bytes", "gpu_millis")
"""What is counted. CPU is not: placement scores it."""

_lease = tables.leases.c
_port = tables.ports.c


class SqlLedger:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def reserve(self, leases: list[Lease], limits: dict[str, Resources]) -> None:
        asked = {lease.id: lease for lease in leases}
        _refuse_without_limit(asked.values(), limits)
        if not asked:
            return
        now = self._clock()
        await self._database.strictly(lambda connection: _reserve(connection, asked, limits, now))

    async def activate(self, lease_id: str) -> None:
        await self._database.strictly(lambda connection: activate(connection, lease_id))

    async def release(self, lease_ids: list[str]) -> None:
        await self._database.strictly(lambda connection: release(connection, lease_ids))

    async def leases(self, provider_id: str | None = None, app: str | None = None) -> list[Lease]:
        query = select(tables.leases).where(_counts(self._clock())).order_by(_lease.id)
        if provider_id is not None:
            query = query.where(_lease.provider_id == provider_id)
        if app is not None:
            query = query.where(_lease.app == app)
        return await self._database.read(lambda connection: [_lease_of(row) for row in connection.execute(query)])

    async def reserved(self) -> dict[str, Resources]:
        query = select(_lease.provider_id, *_sums()).where(_counts(self._clock())).group_by(_lease.provider_id)
        return await self._database.read(lambda c: {row.provider_id: _summed(row) for row in c.execute(query)})

    async def claim_port(
        self, provider_id: str, app: str, key: str, place: Place, given_up: Collection[str] = ()
    ) -> bool:
        port, transport = place
        claim = {"provider_id": provider_id, "app": app, "key": key, "port": port, "transport": transport}
        return await self._database.strictly(lambda connection: _claim(connection, claim, given_up))

    async def ports(self, provider_id: str) -> dict[Place, tuple[str, str]]:
        query = select(tables.ports).where(_port.provider_id == provider_id).order_by(_port.port, _port.transport)
        return await self._database.read(
            lambda c: {(row.port, row.transport): (row.app, row.key) for row in c.execute(query)}
        )

    async def release_ports(self, app: str, keep: set[tuple[str, str]] | None = None) -> None:
        kept = [and_(_port.provider_id == provider, _port.key == key) for provider, key in sorted(keep or ())]
        gone = delete(tables.ports).where(_port.app == app, *(not_(one) for one in kept))
        await self._database.strictly(lambda connection: connection.execute(gone))


def activate(connection: Connection, lease_id: str) -> None:
    """Also while others reserve: an expired one that is still there may come back, and whoever reserves on its
    provider removes it first, so that one of the two waits for the other and then sees what it did."""
    change = update(tables.leases).where(_lease.id == lease_id)
    if not connection.execute(change.values(state="active", expires_at=None)).rowcount:
        raise NotFound(
            f"there is no lease {lease_id}, or it expired and others have reserved since",
            where=lease_id,
            hint="reserve again: the room may belong to somebody else by now",
        )


def release(connection: Connection, lease_ids: Collection[str]) -> None:
    connection.execute(delete(tables.leases).where(_lease.id.in_(lease_ids)))


def _reserve(connection: Connection, asked: dict[str, Lease], limits: dict[str, Resources], now: datetime) -> None:
    provider_ids = sorted({lease.provider_id for lease in asked.values()})
    connection.execute(delete(tables.leases).where(_lease.provider_id.in_(provider_ids), not_(_counts(now))))
    rows = connection.execute(select(tables.leases).where(_lease.id.in_(asked), _counts(now)))
    held = {row.id: _lease_of(row) for row in rows}
    _refuse_foreign(asked, held)
    for provider_id in provider_ids:
        others = _sum_of_others(connection, provider_id, asked)
        new = [lease for lease in asked.values() if lease.provider_id == provider_id]
        old = [lease for lease in held.values() if lease.provider_id == provider_id]
        _refuse_without_room(provider_id, others, old=old, new=new, limit=limits[provider_id])
    connection.execute(delete(tables.leases).where(_lease.id.in_(asked)))
    connection.execute(
        tables.leases.insert(), [_row_of(_still_active(lease, held.get(lease.id))) for lease in asked.values()]
    )


def _refuse_foreign(asked: dict[str, Lease], held: dict[str, Lease]) -> None:
    """`a` with the component `b-c` and `a-b` with `c` have instances of the same name."""
    for id, lease in held.items():
        if lease.app != asked[id].app:
            raise SpecMismatch(
                f"{id} is an instance of {lease.app}",
                where=id,
                component=asked[id].component,
                hint=f"give {asked[id].app}, or its component {asked[id].component}, another name",
            )


def _sum_of_others(connection: Connection, provider_id: str, asked: Iterable[str]) -> Resources:
    query = select(*_sums()).where(_lease.provider_id == provider_id, _lease.id.not_in(asked))
    return _summed(connection.execute(query).one())


def _sums() -> list[ColumnElement[Any]]:
    return [func.coalesce(func.sum(_lease[key]), 0).label(key) for key in Resources.model_fields]


def _summed(row: Row[Any]) -> Resources:
    return Resources(**{key: int(row._mapping[key]) for key in Resources.model_fields})


def _claim(connection: Connection, claim: dict[str, Any], given_up: Collection[str]) -> bool:
    same = {key: _port[key] == value for key, value in claim.items()}
    there = (same["provider_id"], same["port"], same["transport"])
    holder = connection.execute(select(tables.ports).where(*there)).one_or_none()
    if holder and holder.app == claim["app"] and holder.key in given_up:
        connection.execute(delete(tables.ports).where(*there))
    elif holder:
        return (holder.app, holder.key) == (claim["app"], claim["key"])
    connection.execute(delete(tables.ports).where(same["provider_id"], same["app"], same["key"]))
    connection.execute(tables.ports.insert().values(claim))
    return True


def _counts(now: datetime) -> ColumnElement[bool]:
    return or_(_lease.state == "active", _lease.expires_at.is_(None), _lease.expires_at > now)


def _refuse_without_limit(asked: Iterable[Lease], limits: dict[str, Resources]) -> None:
    for lease in asked:
        if lease.provider_id not in limits:
            raise InvalidInput(
                f"no limit is given for provider {lease.provider_id}",
                where=lease.id,
                hint="pass what each provider of the leases has for us",
            )


def _refuse_without_room(
    provider_id: str, others: Resources, *, old: list[Lease], new: list[Lease], limit: Resources
) -> None:
    """What one holds already is never refused: repeating a call succeeds even when the limit has shrunk."""
    before, after = _sum(old), _sum(new)
    for key in COUNTED:
        wanted, free = getattr(after, key), getattr(limit, key) - getattr(others, key)
        if wanted > max(free, getattr(before, key)):
            shown = format_millis if key.endswith("millis") else format_size
            size = f"{shown(wanted)} asked, {shown(max(0, free))} free of {shown(getattr(limit, key))}"
            raise NoRoom(
                f"{provider_id} is short of {key.partition('_')[0]}: {size}",
                where=provider_id,
                component=next(lease.component for lease in new if getattr(lease.resources, key)),
                hint="ask for less, stop something there, or add a provider",
            )


def _sum(leases: Iterable[Lease]) -> Resources:
    return sum((lease.resources for lease in leases), Resources())


def _still_active(lease: Lease, held: Lease | None) -> Lease:
    """A repeated reservation doesn't make a lease that is in use expire."""
    if held is None or held.state == "reserved":
        return lease
    return lease.model_copy(update={"state": "active", "expires_at": None})


def _lease_of(row: Row[Any]) -> Lease:
    values = dict(row._mapping)
    resources = Resources(**{key: values.pop(key) for key in Resources.model_fields})
    return Lease(**values, resources=resources)


def _row_of(lease: Lease) -> dict[str, Any]:
    return lease.model_dump(exclude={"resources"}) | lease.resources.model_dump()
