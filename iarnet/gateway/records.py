"""What is recorded of each app's traffic at one provider, and what of that its gateway has taken over."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, TypeVar

import structlog

from iarnet.gateway.names import Names
from iarnet.models.traffic import Endpoint, Route, Service
from iarnet.planning.leading import Lead, Leading
from iarnet.store.base import Traffic

log = structlog.get_logger()

_Thing = TypeVar("_Thing", Service, Endpoint, Route)


class Record(NamedTuple):
    """All that the store has of an app's traffic here. `named`: it has domains."""

    services: tuple[Service, ...]
    endpoints: tuple[Endpoint, ...]
    routes: tuple[Route, ...]
    named: bool = False

    def ways(self) -> list[Lead[Service]]:
        leading = Leading(self.services, self.endpoints)
        return [leading.lead(route) for route in self.routes]

    def having(self, endpoint: Endpoint) -> "Record":
        """As the store would have it with that endpoint."""
        others = (e for e in self.endpoints if e.instance != endpoint.instance)
        return self._replace(endpoints=tuple(sorted([endpoint, *others], key=lambda e: e.instance)))

    def notes(self) -> set[tuple[str, str]]:
        """Routes of components that are served nowhere, or elsewhere, are nothing to speak of."""
        return {(lead.route.id, note) for lead in self.ways() if lead.at for note in lead.notes}


NOTHING = Record((), (), ())


class Records:
    """`known` are those that have been taken over, by app."""

    def __init__(self, store: Traffic, provider_id: str, names: Names) -> None:
        self._store = store
        self._provider_id = provider_id
        self._names = names
        self._known: dict[str, Record] = {}
        self._apps: dict[str, str] = {}

    @property
    def known(self) -> Mapping[str, Record]:
        return MappingProxyType(self._known)

    def of(self, app: str) -> Record:
        return self._known.get(app, NOTHING)

    def app_of(self, instance: str) -> str | None:
        return self._apps.get(instance)

    async def read(self, app: str) -> Record:
        return Record(
            tuple(await self._store.services(app, self._provider_id)),
            tuple(await self._store.endpoints(app, self._provider_id)),
            tuple(await self._store.routes(app)),
            await self._names.has(app),
        )

    async def read_all(self) -> dict[str, Record]:
        services = _by_app(await self._store.services(provider_id=self._provider_id))
        endpoints = _by_app(await self._store.endpoints(provider_id=self._provider_id))
        routes, named = _by_app(await self._store.routes()), await self._names.apps()
        return {
            app: Record(
                tuple(services.get(app, ())), tuple(endpoints.get(app, ())), tuple(routes.get(app, ())), app in named
            )
            for app in services.keys() | endpoints.keys() | routes.keys() | named
        }

    async def endpoints(self, app: str, component: str = "") -> Sequence[Endpoint]:
        """Of all its components, or of one, as they are recorded now."""
        found = await self._store.endpoints(app, self._provider_id)
        return [endpoint for endpoint in found if component in ("", endpoint.component)]

    async def endpoint(self, app: str, instance: str) -> Endpoint | None:
        return next((e for e in await self.endpoints(app) if e.instance == instance), None)

    def remember(self, app: str, record: Record, before: Record = NOTHING) -> None:
        self.forget(app)
        if any(record):
            self._known[app] = record
        self._apps.update((endpoint.instance, app) for endpoint in record.endpoints)
        for route, note in sorted(record.notes() - before.notes()):
            log.warning("a route leads elsewhere than it says", app=app, route=route, why=note)

    def forget(self, app: str) -> Record:
        forgotten = self._known.pop(app, NOTHING)
        for endpoint in forgotten.endpoints:
            self._apps.pop(endpoint.instance, None)
        return forgotten


def _by_app(things: Iterable[_Thing]) -> dict[str, list[_Thing]]:
    found: dict[str, list[_Thing]] = defaultdict(list)
    for thing in things:
        found[thing.app].append(thing)
    return found
