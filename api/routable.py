"""Can requests be led that way? Asked before anything is written, so that a mistake never reaches the gateway."""

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_network

from api.views import current_revision, newest_analysis
from iarnet.analysis.names import did_you_mean
from iarnet.errors import Conflict, InvalidComponent, InvalidInput
from iarnet.models.component import Component
from iarnet.models.traffic import HTTP_PROTOCOLS, Backend, Endpoint, Route, Service
from iarnet.store.base import Store


async def checked(store: Store, route: Route) -> Route:
    """The same with every port by its number: services don't tell which port of a component is its first.

    Raises `NotFound` for the app, `InvalidComponent`, `InvalidInput`, `Conflict`.
    """
    components = await components_of(store, route.app)
    port = port_of(components, route.component, route.port, "component")
    to = tuple(b.model_copy(update={"port": port_of(components, b.component, b.port, "to")}) for b in route.to)
    if route.mirror:
        port_of(components, route.mirror, 0, "mirror")
    if not sum(backend.weight for backend in route.to):
        raise InvalidInput("the weights add up to 0: no request could go anywhere", where="to", hint="raise one")
    _check_revisions(route.to, await store.traffic.endpoints(route.app))
    found = route.model_copy(update={"port": port, "to": to})
    _check_twins(found, await store.traffic.routes(route.app))
    return found


async def components_of(store: Store, app: str) -> dict[str, Component]:
    """Of the revision that runs, or of what the analysis found before the first. Raises `NotFound`, `Conflict`."""
    known = await current_revision(store, await store.apps.get(app)) or await newest_analysis(store, app)
    if known is None:
        hint = f"deploy it first: POST /api/v1/apps/{app}/deploy"
        raise Conflict(f"{app!r} has no components yet", where=app, hint=hint)
    return {component.name: component for component in known.components}


def check_known(components: Mapping[str, Component], name: str, where: str) -> Component:
    """Raises `InvalidComponent`."""
    if name not in components:
        raise InvalidComponent(f"there is no component {name!r}", where=where, hint=did_you_mean(name, components))
    return components[name]


def check_outside(address: IPv4Address | IPv6Address, services: Iterable[Service]) -> None:
    """Refuses what leads back into this machine, or around the walls between applications. Raises `InvalidInput`."""
    own = address.is_loopback or address.is_link_local or address.is_unspecified
    if own or address.is_multicast or address == IPv4Address("255.255.255.255"):
        hint = "give an address at which the gateway can reach it over the network"
        raise InvalidInput(f"{address} is no server outside", where="address", hint=hint)
    inside = next((s for s in services if address in ip_network(s.subnet, strict=False)), None)
    if inside:
        hint = "instances take requests by being deployed"
        raise InvalidInput(f"{address} is in the network of {inside.app!r}", where="address", hint=hint)


def port_of(components: Mapping[str, Component], name: str, number: int, where: str) -> int:
    """The port that is meant, for 0 the first where requests can be told apart. Raises `InvalidComponent`."""
    ports = check_known(components, name, where).ports
    able = [p.port for p in ports if p.protocol in HTTP_PROTOCOLS]
    found = next((port for port in able if number in (0, port)), None)
    if found is not None:
        return found
    spoken = ", ".join(f"{p.port} speaks {p.protocol}" for p in ports) or "it listens on no port"
    what = f"{name!r} takes no requests" + (f" at port {number}" if number else "")
    hint = (
        f"name port {', '.join(map(str, able))}"
        if able
        else f"{spoken}; only {', '.join(HTTP_PROTOCOLS)} can be routed"
    )
    raise InvalidComponent(what, where=where, hint=hint)


def _check_revisions(backends: Iterable[Backend], endpoints: Iterable[Endpoint]) -> None:
    """A share for a revision that nobody runs would be requests that fail."""
    running = {(e.component, e.revision) for e in endpoints if e.revision}
    for backend in backends:
        if backend.revision is None or not backend.weight or (backend.component, backend.revision) in running:
            continue
        numbers = sorted(number for component, number in running if component == backend.component)
        what = f"no instance of {backend.component!r} has revision {backend.revision}"
        hint = f"there is {', '.join(map(str, numbers))}" if numbers else "deploy it first, or give it the weight 0"
        raise Conflict(what, where="to", hint=hint)


def _check_twins(route: Route, others: Iterable[Route]) -> None:
    twin = next((o for o in others if o.id != route.id and _same(o, route)), None)
    if twin:
        hint = f"change that one, or remove it first: DELETE /api/v1/communication/routes/{twin.id}"
        raise Conflict(f"route {twin.id!r} takes the same requests", where=twin.id, hint=hint)


def _same(one: Route, other: Route) -> bool:
    """Some request matches both, and neither has more to say about it."""
    hosts = set(one.hosts) & set(other.hosts) or not (one.hosts or other.hosts)
    return bool(hosts) and _conditions(one) == _conditions(other)


def _conditions(route: Route) -> tuple[object, ...]:
    headers = {name.lower(): value for name, value in route.headers.items()}
    return route.component, route.port, route.path.rstrip("/"), headers, route.cookies
