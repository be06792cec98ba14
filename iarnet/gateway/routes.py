"""Which cluster a request goes to, as Envoy's route configurations.

Fields: https://www.envoyproxy.io/docs/envoy/v1.40.0/api-v3/config/route/v3/route_components.proto
"""

import re
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.retry.host.previous_hosts.v3.previous_hosts_pb2 import PreviousHostsPredicate

from iarnet.errors import InvalidComponent
from iarnet.gateway.access_log import named
from iarnet.gateway.clusters import cluster_name
from iarnet.gateway.packing import extension
from iarnet.models.traffic import Backend, Route, Service

TRIES = 240
TRY_AFTER = timedelta(milliseconds=5)
TRY_WITHIN = timedelta(milliseconds=250)
"""A pause is random, below a bound that doubles from `TRY_AFTER` to `TRY_WITHIN`. All take about 30 s: so long
a request waits for the successor of a held endpoint."""

HTTP_PROTOCOLS = ("http", "grpc", "websocket")

_RETRY = {
    # Only what has certainly not reached the application.
    "retry_on": "connect-failure,refused-stream,reset-before-request",
    "num_retries": {"value": TRIES},
    "retry_back_off": {"base_interval": TRY_AFTER, "max_interval": TRY_WITHIN},
    "retry_host_predicate": [extension("envoy.retry_host_predicates.previous_hosts", PreviousHostsPredicate())],
    "host_selection_retry_max_attempts": 3,
}

_NO_LIMIT = timedelta(0)


def route_configuration(
    name: str, behind: Sequence[Service], services: Sequence[Service], routes: Iterable[Route]
) -> Any:
    """For a listener with the services `behind` it: one gets every request, several are told apart by `Host`.

    Raises `InvalidComponent` for a route to what none of the app's `services` serves.
    """
    alone = len(behind) == 1
    return RouteConfiguration(
        name=name,
        virtual_hosts=[
            {
                "name": f"{service.app}/{service.component}",
                **({} if alone else {"metadata": named(service.component)}),
                "domains": ["*"] if alone else [service.component, f"{service.component}:{service.port}"],
                "routes": [
                    *(_route(r, services) for r in _by_precedence(routes_of(service, services, routes))),
                    {"match": {"prefix": "/"}, "route": {"cluster": cluster_name(service), "timeout": _NO_LIMIT}},
                ],
                "retry_policy": _RETRY,
            }
            for service in behind
        ],
        validate_clusters={"value": False},
    )


def routes_of(service: Service, services: Sequence[Service], routes: Iterable[Route]) -> list[Route]:
    """The users' routes that requests to the service may take. Raises `InvalidComponent`."""
    return [r for r in routes if service_of(r.component, r.port, services, where=r.id) == service]


def backends(route: Route, services: Sequence[Service]) -> list[tuple[Service, Backend]]:
    """Raises `InvalidComponent` for a backend that nothing serves, and when none of them gets a share."""
    if not any(backend.weight for backend in route.to):
        raise InvalidComponent(
            f"route {route.id} sends no request anywhere: every weight is 0",
            where=route.id,
            hint="give at least one backend a weight above 0",
        )
    return [(service_of(b.component, b.port, services, where=route.id), b) for b in route.to]


def service_of(component: str, port: int, services: Sequence[Service], *, where: str) -> Service:
    """The component's HTTP service at `port`; for 0 the one with the lowest. Raises `InvalidComponent`."""
    served = sorted((s for s in services if s.component == component), key=lambda s: s.port)
    found = [s for s in served if s.protocol in HTTP_PROTOCOLS and port in (0, s.port)]
    if found:
        return found[0]
    at = f" at port {port}" if port else ""
    known = ", ".join(f"{s.component}:{s.port} ({s.protocol})" for s in served or services) or "nothing"
    raise InvalidComponent(
        f"route {where} needs HTTP or gRPC of component {component}{at}, which does not serve it",
        where=where,
        hint=f"there is {known}; change the route or remove it",
        component=component,
    )


def _by_precedence(routes: Iterable[Route]) -> list[Route]:
    """Envoy takes the first that matches."""
    return sorted(routes, key=lambda r: (-_conditions(r), -len(r.path), r.id))


def _conditions(route: Route) -> int:
    return len(route.headers) + len(route.cookies) + bool(route.hosts) + (route.path != "/")


def _route(route: Route, services: Sequence[Service]) -> dict[str, Any]:
    action: dict[str, Any] = {
        **_destination(backends(route, services)),
        "timeout": _NO_LIMIT if route.timeout_s is None else timedelta(seconds=route.timeout_s),
    }
    if route.mirror is not None:
        mirror = service_of(route.mirror, 0, services, where=route.id)
        action["request_mirror_policies"] = [
            {"cluster": cluster_name(mirror), "disable_shadow_host_suffix_append": True}
        ]
    if not route.retries:
        action["retry_policy"] = {"num_retries": {"value": 0}}
    return {"name": route.id, "stat_prefix": route.id, "match": _match(route), "route": action}


def _destination(to: Sequence[tuple[Service, Backend]]) -> dict[str, Any]:
    named = [(cluster_name(service, backend.revision), backend.weight) for service, backend in to]
    if len(named) == 1:
        return {"cluster": named[0][0]}
    return {"weighted_clusters": {"clusters": [{"name": n, "weight": {"value": w}} for n, w in named]}}


def _match(route: Route) -> dict[str, Any]:
    # On borders of segments: `/api` is `/api` and `/api/x`, not `/apix`.
    path = route.path.rstrip("/")
    return {
        **({"path_separated_prefix": path} if path else {"prefix": "/"}),
        "headers": [
            *([_header(":authority", safe_regex=_authority(route.hosts))] if route.hosts else []),
            *(_header(name, exact=value) for name, value in sorted(route.headers.items())),
            *(_header("cookie", safe_regex=_cookie(name, value)) for name, value in sorted(route.cookies.items())),
        ],
    }


def _header(name: str, *, exact: str | None = None, safe_regex: str = "") -> dict[str, Any]:
    value = {"safe_regex": {"regex": safe_regex}} if exact is None else {"exact": exact}
    return {"name": name, "string_match": value}


def _authority(hosts: Iterable[str]) -> str:
    """Any port, upper and lower case alike (RFC 9110 §4.2.3); `*.` is one name or more, as in Envoy's own domains."""
    names = (r"[^:]+\." + re.escape(h[2:]) if h.startswith("*.") else re.escape(h) for h in hosts)
    return rf"(?i)({'|'.join(names)})(:\d+)?"


def _cookie(name: str, value: str) -> str:
    """One of the pairs of RFC 6265 §4.2.1. Envoy matches the whole value of the header."""
    return rf"(.*;\s*)?{re.escape(name)}={re.escape(value)}(\s*;.*)?"
