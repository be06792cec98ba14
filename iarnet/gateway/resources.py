"""The registry's services, endpoints and routes as the resources that Envoy is driven by. Pure."""

from collections.abc import Sequence
from pathlib import Path

from google.protobuf.message import Message

from iarnet.gateway.clusters import cluster, cluster_name, load_assignment
from iarnet.gateway.listeners import listener, places
from iarnet.gateway.routes import HTTP_PROTOCOLS, backends, route_configuration, routes_of
from iarnet.models.traffic import Endpoint, Route, Service

Resources = dict[str, dict[str, Message]]
"""Type URL → name → resource. Every name begins with the app's: those of several apps can be served together."""

CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
ENDPOINTS = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"
ROUTES = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"


def resources(
    services: Sequence[Service],
    endpoints: Sequence[Endpoint],
    routes: Sequence[Route],
    *,
    publish_address: str,
    journal: Path | None = None,
    access_log: Path | None = None,
) -> Resources:
    """Of one app on one provider. Equal for equal input, whatever its order. Changes of health go to `journal`.

    Requests go to `access_log`: those that failed, and a share of the others.

    Raises `InvalidComponent` for a route to what none of the services is, and `ValueError` where two services want
    one address and port and can't be told apart by host name.
    """
    services = sorted(services, key=lambda s: s.name)
    found: Resources = {CLUSTER: {}, ENDPOINTS: {}, LISTENER: {}, ROUTES: {}}
    for service, revision in _targets(services, routes):
        name = cluster_name(service, revision)
        behind = [e for e in endpoints if e.component == service.component and revision in (None, e.revision)]
        found[CLUSTER][name] = cluster(
            name, http=service.protocol in HTTP_PROTOCOLS, check=service.health, journal=journal
        )
        found[ENDPOINTS][name] = load_assignment(name, service.port, behind)
    for place in places(services, publish_address):
        # A user's route says that this is HTTP for sure; what is not must not slip past the route.
        routed = place.http and any(routes_of(service, services, routes) for service in place.services)
        found[LISTENER][place.name] = listener(place, only_http=routed, log=access_log)
        if place.http:
            found[ROUTES][place.name] = route_configuration(place.name, place.services, services, routes)
    return found


def _targets(services: Sequence[Service], routes: Sequence[Route]) -> list[tuple[Service, int | None]]:
    """Every service with all its endpoints, and those of which a route names one revision."""
    named = {(s.name, b.revision): s for route in routes for s, b in backends(route, services) if b.revision}
    return [*((s, None) for s in services), *((s, revision) for (_, revision), s in sorted(named.items()))]
