"""The registry's services, endpoints and routes as the resources that Envoy is driven by. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from google.protobuf.message import Message

from iarnet.gateway.clusters import cluster, cluster_name, first_version, load_assignment
from iarnet.gateway.listeners import listener, places
from iarnet.gateway.routes import route_configuration
from iarnet.models.traffic import HTTP_PROTOCOLS, Endpoint, Route, Service
from iarnet.planning.leading import Lead, Leading

Resources = dict[str, dict[str, Message]]
"""Type URL → name → resource. Every name begins with the app's: those of several apps can be served together."""

CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
ENDPOINTS = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"
ROUTES = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
SECRET = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"


def resources(
    services: Sequence[Service],
    endpoints: Sequence[Endpoint],
    routes: Sequence[Route],
    *,
    publish_address: str,
    led_by: Sequence[Endpoint] | None = None,
    named: bool = False,
    journal: Path | None = None,
    access_log: Path | None = None,
) -> Resources:
    """Of one app on one provider. Equal for equal input, whatever its order. Changes of health go to `journal`.

    Requests go to `access_log`: those that failed, and a share of the others. A route, or a part of one, that leads
    nowhere is left out: the endpoints say so, or `led_by` in their place. `named`: some of it is reached by domains,
    too.

    Raises `ValueError` where two services want one address and port and can't be told apart by host name.
    """
    services = sorted(services, key=lambda s: s.name)
    leading = Leading(services, endpoints if led_by is None else led_by)
    leads: dict[str, list[Lead[Service]]] = defaultdict(list)
    for lead in map(leading.lead, routes):
        if lead.at:
            leads[lead.at.name].append(lead)
    behind: dict[str, list[Endpoint]] = defaultdict(list)
    for endpoint in endpoints:
        behind[endpoint.component].append(endpoint)
    found: Resources = {CLUSTER: {}, ENDPOINTS: {}, LISTENER: {}, ROUTES: {}}
    for service, revision in [*((s, None) for s in services), *_revisions(chain(*leads.values()))]:
        name = cluster_name(service, revision)
        found[CLUSTER][name] = cluster(
            name, protocol=service.protocol, check=service.health, journal=journal, **_bounds(service)
        )
        instances = _of(revision, behind[service.component])
        found[ENDPOINTS][name] = load_assignment(name, service.port, instances, ejection=service.ejection)
        if named and service.protocol in HTTP_PROTOCOLS and not _knows_http2(service):
            # Browsers speak HTTP/2 to whoever has a certificate, and most applications don't.
            first = first_version(name)
            found[CLUSTER][first] = cluster(
                first, protocol=service.protocol, http2=False, check=service.health, **_bounds(service)
            )
            found[ENDPOINTS][first] = load_assignment(first, service.port, instances, ejection=service.ejection)
    for place in places(services, publish_address):
        # A user's route says that this is HTTP for sure; what is not must not slip past the route.
        routed = place.http and any(service.name in leads for service in place.services)
        found[LISTENER][place.name] = listener(place, only_http=routed, log=access_log)
        if place.http:
            found[ROUTES][place.name] = route_configuration(place.name, place.services, leads)
    return found


def _knows_http2(service: Service) -> bool:
    return service.protocol == "grpc" or (service.health is not None and service.health.type == "grpc")


def _bounds(service: Service) -> dict[str, Any]:
    return {"limits": service.limits, "ejection": service.ejection}


def _revisions(leads: Iterable[Lead[Service]]) -> list[tuple[Service, int]]:
    """Those that a route names. One that leaves is known until its last request has ended."""
    named = {(s.name, b.revision): s for lead in leads for s, b in (*lead.to, *lead.leaving) if b.revision}
    return [(service, revision) for (_, revision), service in sorted(named.items(), key=lambda item: item[0])]


def _of(revision: int | None, endpoints: Sequence[Endpoint]) -> Sequence[Endpoint]:
    return endpoints if revision is None else [e for e in endpoints if e.revision == revision]
