"""Domains, their certificates, and what proves them to an ACME server."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, delete, select

from iarnet.errors import AlreadyExists, NotFound
from iarnet.models.domains import Certificate, Challenge, Domain
from iarnet.store import tables
from iarnet.store.database import Database, upsert
from iarnet.store.traffic import raise_version

_DOMAIN = tables.domains.c.domain
_CERTIFICATE = tables.certificates.c.certificate


class SqlDomains:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, domain: Domain) -> None:
        await self._write(lambda connection: _put(connection, domain))

    async def get(self, host: str) -> Domain:
        return await self._database.read(lambda connection: _get(connection, host))

    async def delete(self, host: str) -> None:
        which = delete(tables.domains).where(tables.domains.c.host == host)

        def work(connection: Connection) -> None:
            if not connection.execute(which).rowcount:
                raise _missing(host)

        await self._write(work)

    async def set_problem(self, host: str, problem: str) -> None:
        query = select(_DOMAIN).where(tables.domains.c.host == host)

        def work(connection: Connection) -> None:
            for domain in connection.scalars(query).all():
                _put(connection, domain.model_copy(update={"problem": problem}))

        await self._write(work)

    async def put_certificate(self, certificate: Certificate) -> None:
        def work(connection: Connection) -> None:
            _get(connection, certificate.host)
            upsert(connection, tables.certificates, {"host": certificate.host}, {"certificate": certificate})

        await self._write(work)

    async def certificate(self, host: str) -> Certificate | None:
        query = select(_CERTIFICATE).where(tables.certificates.c.host == host)
        return await self._database.read(lambda connection: connection.scalar(query))

    async def certificates(self) -> list[Certificate]:
        query = select(_CERTIFICATE)
        found: list[Certificate] = await self._database.read(lambda connection: [*connection.scalars(query)])
        return sorted(found, key=lambda certificate: certificate.host)

    async def put_challenge(self, challenge: Challenge) -> None:
        key = {"host": challenge.host, "token": challenge.token}

        def work(connection: Connection) -> None:
            _get(connection, challenge.host)
            upsert(connection, tables.challenges, key, {"challenge": challenge})

        await self._write(work)

    async def challenges(self) -> list[Challenge]:
        query = select(tables.challenges.c.challenge)
        found: list[Challenge] = await self._database.read(lambda connection: [*connection.scalars(query)])
        return sorted(found, key=lambda challenge: (challenge.host, challenge.token))

    async def delete_challenges(self, host: str) -> None:
        which = delete(tables.challenges).where(tables.challenges.c.host == host)
        await self._write(lambda connection: connection.execute(which))

    async def list(self, app: str | None = None) -> list[Domain]:
        query = select(_DOMAIN).where(*(() if app is None else (tables.domains.c.app == app,)))
        found: list[Domain] = await self._database.read(lambda connection: [*connection.scalars(query)])
        return sorted(found, key=lambda domain: domain.host)

    async def _write(self, work: Callable[[Connection], Any]) -> None:
        def versioned(connection: Connection) -> None:
            raise_version(connection)
            work(connection)

        await self._database.write(versioned)


def _get(connection: Connection, host: str) -> Domain:
    found: Domain | None = connection.scalar(select(_DOMAIN).where(tables.domains.c.host == host))
    if found is None:
        raise _missing(host)
    return found


def _put(connection: Connection, domain: Domain) -> None:
    holder = connection.scalar(select(tables.domains.c.app).where(tables.domains.c.host == domain.host))
    if holder not in (None, domain.app):
        raise AlreadyExists(
            f"the name {domain.host} is taken by {holder}",
            where=domain.host,
            hint=f"choose another name, or remove it from {holder} first",
        )
    upsert(connection, tables.domains, {"host": domain.host}, {"app": domain.app, "domain": domain})


def _missing(host: str) -> NotFound:
    return NotFound(f"there is no domain {host}", where=host, hint="list the domains to see their names")
