"""Where users' routes lead while not all is there that they name. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from iarnet.models.traffic import HTTP_PROTOCOLS, Backend, Endpoint, Route, ServedPort

Served = TypeVar("Served", bound=ServedPort)


@dataclass(frozen=True)
class Lead(Generic[Served]):
    """A route as it can be now. `notes` say what of it is left out, and why.

    `at`: what it is a route of, None when that is not served. `to`: who takes its requests; with nobody they go as if
    there were no such route. `leaving`: backends that get nothing new, whose instances are still there.
    """

    route: Route
    at: Served | None
    to: tuple[tuple[Served, Backend], ...] = ()
    leaving: tuple[tuple[Served, Backend], ...] = ()
    mirror: Served | None = None
    notes: tuple[str, ...] = ()


class Leading(Generic[Served]):
    """Of one app on one provider. Without `endpoints` everything that is served counts as running."""

    def __init__(self, services: Iterable[Served], endpoints: Iterable[Endpoint] | None = None) -> None:
        self._services: dict[str, list[Served]] = defaultdict(list)
        for service in sorted(services, key=lambda s: s.port):
            if service.protocol in HTTP_PROTOCOLS:
                self._services[service.component].append(service)
        self._checked = endpoints is not None
        there = list(endpoints or ())
        self._there = {(e.component, e.revision) for e in there if e.revision}
        self._running = {(e.component, e.revision) for e in there if e.state == "active"}
        # What has died or makes room comes back to its component, but maybe not as the same revision.
        self._staying = {e.component for e in there if e.state != "draining"}

    def lead(self, route: Route) -> Lead[Served]:
        """Requests must reach somebody: a share that nobody takes goes to the others."""
        if (at := self._service(route.component, route.port)) is None:
            return Lead(route, None, notes=(f"{_name(route)} is not served with HTTP: nothing comes this way",))
        named = [(self._service(b.component, b.port), b) for b in route.to]
        taking = [(service, b) for service, b in named if service and self._runs(b, route)]
        gone = [both for both in named if both not in taking]
        to = tuple(taking) if any(b.weight for _, b in taking) else ()
        leaving = tuple((service, b) for service, b in gone if service and (b.component, b.revision) in self._there)
        mirror = self._service(route.mirror, 0) if route.mirror else None
        notes = _missing(route, [b for _, b in gone if b.weight], to)
        if route.mirror and mirror is None:
            notes.append(f"{route.mirror} is not served with HTTP: it gets no copies")
        return Lead(route, at, to, leaving, mirror, tuple(notes))

    def _service(self, component: str, port: int) -> Served | None:
        """For port 0 the one with the lowest."""
        return next((s for s in self._services.get(component, ()) if port in (0, s.port)), None)

    def _runs(self, backend: Backend, route: Route) -> bool:
        if not self._checked:
            return True
        if backend.revision is not None:
            return (backend.component, backend.revision) in self._running
        return backend.component in self._staying or backend.component == route.component


def _missing(route: Route, gone: Iterable[Backend], others: Sequence[object]) -> list[str]:
    then = "the others take its share" if others else f"requests go to {route.component}, as if there were no route"
    if not any(backend.weight for backend in route.to):
        return [f"every weight is 0: {then}"]
    return [f"nobody takes HTTP requests to {_name(b)}: {then}" for b in gone]


def _name(what: Route | Backend) -> str:
    revision = f"@r{what.revision}" if isinstance(what, Backend) and what.revision else ""
    return what.component + (f":{what.port}" if what.port else "") + revision
