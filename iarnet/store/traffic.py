"""Services, endpoints and routes: what leads traffic to instances."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, delete, select, update

from iarnet.errors import AlreadyExists, NotFound
from iarnet.models.traffic import Endpoint, EndpointState, Route, Service
from iarnet.store import tables
from iarnet.store.database import Database, upsert


class SqlTraffic:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def serve(self, app: str, provider_id: str, services: Sequence[Service]) -> None:
        await self._write(lambda connection: _serve(connection, app, provider_id, services))

    async def services(self, app: str | None = None, provider_id: str | None = None) -> list[Service]:
        found: list[Service] = await self._documents(tables.services, "service", app=app, provider_id=provider_id)
        return sorted(found, key=lambda service: (service.name, service.provider_id))

    async def put_endpoint(self, endpoint: Endpoint) -> None:
        await self._write(lambda connection: _put_endpoint(connection, endpoint))

    async def set_endpoint_state(self, instance: str, state: EndpointState) -> None:
        await self._update_endpoint(instance, {"state": state})

    async def set_endpoint_weight(self, instance: str, weight: int) -> None:
        await self._update_endpoint(instance, {"weight": weight})

    async def endpoints(self, app: str | None = None, provider_id: str | None = None) -> list[Endpoint]:
        found: list[Endpoint] = await self._documents(tables.endpoints, "endpoint", app=app, provider_id=provider_id)
        return sorted(found, key=lambda endpoint: (endpoint.instance, endpoint.provider_id))

    async def forget_endpoint(self, instance: str) -> None:
        which = delete(tables.endpoints).where(tables.endpoints.c.instance == instance)
        await self._write(lambda connection: connection.execute(which))

    async def put_route(self, route: Route) -> None:
        await self._write(lambda connection: _put_route(connection, route))

    async def routes(self, app: str | None = None) -> list[Route]:
        found: list[Route] = await self._documents(tables.routes, "route", app=app)
        return sorted(found, key=lambda route: route.id)

    async def delete_route(self, id: str) -> None:
        which = delete(tables.routes).where(tables.routes.c.id == id)

        def work(connection: Connection) -> None:
            if not connection.execute(which).rowcount:
                raise NotFound(f"there is no route {id}", where=id, hint="list the routes to see their ids")

        await self._write(work)

    async def version(self) -> int:
        query = select(tables.traffic_version.c.version)
        return await self._database.read(lambda connection: connection.execute(query).scalar_one())

    async def _write(self, work: Callable[[Connection], Any]) -> None:
        def versioned(connection: Connection) -> None:
            raise_version(connection)
            work(connection)

        await self._database.write(versioned)

    async def _update_endpoint(self, instance: str, values: Mapping[str, Any]) -> None:
        query = select(tables.endpoints.c.endpoint).where(tables.endpoints.c.instance == instance)

        def work(connection: Connection) -> None:
            for endpoint in connection.scalars(query).all():
                _put_endpoint(connection, endpoint.model_copy(update=values))

        await self._write(work)

    async def _documents(self, table: Table, column: str, **which: str | None) -> list[Any]:
        """Unsorted: how a database orders text depends on its locale."""
        wanted = (table.c[key] == value for key, value in which.items() if value is not None)
        query = select(table.c[column]).where(*wanted)
        return await self._database.read(lambda connection: list(connection.scalars(query)))


def raise_version(connection: Connection) -> None:
    """To be called first: the row stays locked, so that writes go one after the other and each sees the last."""
    table = tables.traffic_version
    connection.execute(update(table).values(version=table.c.version + 1))


def _serve(connection: Connection, app: str, provider_id: str, services: Sequence[Service]) -> None:
    there = (tables.services.c.app == app, tables.services.c.provider_id == provider_id)
    connection.execute(delete(tables.services).where(*there))
    for service in services:
        key = {"provider_id": provider_id, "name": service.name}
        upsert(connection, tables.services, key, {"app": app, "service": service})
    endpoint = tables.endpoints.c
    served = {service.component for service in services}
    gone = (endpoint.app == app, endpoint.provider_id == provider_id, endpoint.component.not_in(served))
    connection.execute(delete(tables.endpoints).where(*gone))


def _put_endpoint(connection: Connection, endpoint: Endpoint) -> None:
    key = {"instance": endpoint.instance, "provider_id": endpoint.provider_id}
    values = {"app": endpoint.app, "component": endpoint.component, "endpoint": endpoint}
    upsert(connection, tables.endpoints, key, values)


def _put_route(connection: Connection, route: Route) -> None:
    holder = connection.scalar(select(tables.routes.c.app).where(tables.routes.c.id == route.id))
    if holder not in (None, route.app):
        raise AlreadyExists(
            f"the route id {route.id} is taken by a route of {holder}", where=route.id, hint="choose another id"
        )
    upsert(connection, tables.routes, {"id": route.id}, {"app": route.app, "route": route})
