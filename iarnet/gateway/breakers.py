"""Limits that are reached, from what Envoy counts of its clusters. Pure.

Names: https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/upstream/cluster_manager/cluster_stats
"""

import re
from collections.abc import Iterable

from iarnet.models.traffic import HTTP_PROTOCOLS, Breaker, Service

_OPEN = {"cx_open": "connections", "rq_pending_open": "pending", "rq_open": "requests", "rq_retry_open": "retries"}
# A request that finds no connection waits for one, and is not turned away by that.
_REQUESTS = ("rq_pending_overflow", "rq_active_overflow", "rq_retry_overflow")
_CONNECTIONS = "cx_overflow"
_LINE = re.compile(
    r"cluster\.(?P<service>[^.@]+)(@[a-z0-9]+)*\."
    rf"(circuit_breakers\.default\.(?P<open>{'|'.join(_OPEN)})|upstream_(?P<refused>[a-z_]+)): (?P<value>\d+)"
)


def pattern(app: str = "") -> str:
    """Of the names that are understood here, of all apps or of one, for Envoy to tell."""
    full = rf"circuit_breakers\.default\.({'|'.join(_OPEN)})"
    return rf"^cluster\.{app or '[^./]+'}/[^.]+\.({full}|upstream_({'|'.join((*_REQUESTS, _CONNECTIONS))}))$"


def kept(cluster: str) -> list[str]:
    """The names that are understood here of this cluster."""
    full = [f"circuit_breakers.default.{name}" for name in _OPEN]
    return [f"cluster.{cluster}.{name}" for name in (*full, *(f"upstream_{w}" for w in (*_REQUESTS, _CONNECTIONS)))]


def breakers(stats: str, services: Iterable[Service]) -> list[Breaker]:
    """Of the services that have limits, all revisions of their instances together. `stats` is Envoy's `/stats`."""
    bounded = {service.name: service for service in services if service.limits}
    full: dict[str, set[str]] = {name: set() for name in bounded}
    refused = dict.fromkeys(bounded, 0)
    for line in stats.splitlines():
        match = _LINE.fullmatch(line)
        if match is None or (service := bounded.get(match["service"])) is None or not int(match["value"]):
            continue
        if match["open"]:
            full[service.name].add(_OPEN[match["open"]])
        elif (match["refused"] in _REQUESTS) is (service.protocol in HTTP_PROTOCOLS):
            refused[service.name] += int(match["value"])
    return [Breaker(service=name, full=tuple(sorted(full[name])), refused_total=refused[name]) for name in full]
