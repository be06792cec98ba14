"""Which cluster a request goes to, as Envoy's route configurations.

Fields: https://www.envoyproxy.io/docs/envoy/v1.40.0/api-v3/config/route/v3/route_components.proto
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.retry.host.previous_hosts.v3.previous_hosts_pb2 import PreviousHostsPredicate

from iarnet.gateway.access_log import named
from iarnet.gateway.clusters import cluster_name
from iarnet.gateway.packing import extension
from iarnet.models.traffic import Backend, Route, Service
from iarnet.planning.leading import Lead

TRIES = 240
TRY_AFTER = timedelta(milliseconds=5)
TRY_WITHIN = timedelta(milliseconds=250)
"""A pause is random, below a bound that doubles from `TRY_AFTER` to `TRY_WITHIN`. All take about 30 s: so long
a request waits for the successor of a held endpoint."""

_NO_LIMIT = timedelta(0)


def route_configuration(name: str, behind: Sequence[Service], leads: Mapping[str, Sequence[Lead[Service]]]) -> Any:
    """For a listener with the services `behind` it: one gets every request, several are told apart by `Host`.

    `leads` are users' routes, by the names of the services whose requests take them.
    """
    alone = len(behind) == 1
    domains = _domains(behind)
    return RouteConfiguration(
        name=name,
        virtual_hosts=[
            {
                "name": f"{service.app}/{service.component}",
                **({} if alone else {"metadata": named(service.component)}),
                "domains": ["*"] if alone else domains[service.name],
                "routes": [
                    *(_route(lead) for lead in _by_precedence(leads.get(service.name, ())) if lead.to),
                    {"match": {"prefix": "/"}, "route": {"cluster": cluster_name(service), "timeout": _NO_LIMIT}},
                ],
                "retry_policy": _retry(TRIES),
            }
            for service in behind
        ],
        validate_clusters={"value": False},
    )


def _domains(behind: Sequence[Service]) -> dict[str, list[str]]:
    """Under which hosts requests ask for each. Envoy wants every name once: a component's own goes before others."""
    holders = {service.component: service.name for service in behind}
    for service in behind:
        for name in service.names:
            holders.setdefault(name.lower(), service.name)
    return {
        service.name: [f"{name}{port}" for name, holder in holders.items() if holder == service.name
                       for port in ("", f":{service.port}")]
        for service in behind
    }  # fmt: skip


def _by_precedence(leads: Iterable[Lead[Service]]) -> list[Lead[Service]]:
    """Envoy takes the first that matches."""
    return sorted(leads, key=lambda x: (-_conditions(x.route), -len(x.route.path), x.route.id))


def _conditions(route: Route) -> int:
    return len(route.headers) + len(route.cookies) + bool(route.hosts) + (route.path != "/")


def _route(lead: Lead[Service]) -> dict[str, Any]:
    route = lead.route
    action: dict[str, Any] = {
        **_destination(lead.to),
        "timeout": _NO_LIMIT if route.timeout_s is None else timedelta(seconds=route.timeout_s),
    }
    if lead.mirror is not None:
        action["request_mirror_policies"] = [
            {"cluster": cluster_name(lead.mirror), "disable_shadow_host_suffix_append": True}
        ]
    if route.retries is not None:
        action["retry_policy"] = _retry(route.retries)
    return {"name": route.id, "stat_prefix": route.id, "match": _match(route), "route": action}


def _retry(times: int) -> dict[str, Any]:
    return {
        # Only what has certainly not reached the application.
        "retry_on": "connect-failure,refused-stream,reset-before-request",
        "num_retries": {"value": times},
        "retry_back_off": {"base_interval": TRY_AFTER, "max_interval": TRY_WITHIN},
        "retry_host_predicate": [extension("envoy.retry_host_predicates.previous_hosts", PreviousHostsPredicate())],
        "host_selection_retry_max_attempts": 3,
    }


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
