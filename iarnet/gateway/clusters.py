"""Services and the endpoints behind them, as Envoy's clusters and load assignments.

Fields: https://www.envoyproxy.io/docs/envoy/v1.40.0/api-v3/config/cluster/v3/cluster.proto and, beside it, outlier
detection, circuit breakers and endpoint.
"""

from collections.abc import Iterable
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions

from iarnet.gateway import breakers, stats
from iarnet.gateway.checks import active_check
from iarnet.gateway.keeping import only
from iarnet.gateway.packing import packed
from iarnet.models.component import Ejection, HealthCheck, Limits
from iarnet.models.traffic import HTTP_PROTOCOLS, Endpoint, EndpointState, Protocol, Service

CONNECT_TIMEOUT_S = 1
"""An instance is one bridge away. Where nothing answers for so long nothing is, and the next one is tried."""

IDLE_S = 1
"""For connections to instances. Shorter than application servers keep an idle one (gunicorn 2 s, Node.js and uvicorn
5 s): a request that meets a connection being closed is lost, as it can't be repeated safely."""

MAX_HEADERS = 1000

KEEPALIVE_S, KEEPALIVE_AGAIN_S = 60, 5
KEEPALIVE_TRIES = 9
"""So often a silent peer is asked before it is taken for gone. Linux asks all at once that are due within 2 seconds,
and its queue between containers (`net.core.netdev_max_backlog`) has room for 1,000 and drops the rest: with three
tries, 12 % of 100,000 idle connections were lost."""

_HEALTH: dict[EndpointState, str] = {
    "active": "HEALTHY",
    "suspended": "UNHEALTHY",
    "draining": "DRAINING",
    "held": "DRAINING",
}

_UNLIMITED = 1_000_000

_OUTLIERS = {
    # Only what can't be connected to is taken out: an answer, also a 503, is the application's own.
    "split_external_local_origin_errors": True,
    "consecutive_local_origin_failure": {"value": 3},
    "enforcing_consecutive_local_origin_failure": {"value": 100},
    "enforcing_consecutive_5xx": {"value": 0},
    "enforcing_consecutive_gateway_failure": {"value": 0},
    "enforcing_success_rate": {"value": 0},
    "enforcing_local_origin_success_rate": {"value": 0},
    # What was taken out returns at the end of an interval, not before.
    "interval": timedelta(milliseconds=500),
    "base_ejection_time": timedelta(seconds=1),
    "max_ejection_time": timedelta(seconds=2),
    # Of all that the cluster knows, whatever their state: of two none, unless a third is added, as it is when both
    # are to stay. A stream that an instance ends counts against it like a connection that it refuses: that must not
    # take out the only active one beside one that drains. Beside two others it may, and requests wait.
    "max_ejection_percent": {"value": 49},
}

_UNCHECKED = {"disable_active_health_check": True}

_ONE_IS_ENOUGH = {"overprovisioning_factor": {"value": 1_000_000}}
"""Percent of its share that each may take over. By default a priority hands on when less than 72 % of it are well."""

_KEEPALIVE = {
    "keepalive_time": {"value": KEEPALIVE_S},
    "keepalive_interval": {"value": KEEPALIVE_AGAIN_S},
    "keepalive_probes": {"value": KEEPALIVE_TRIES},
}


def cluster_name(service: Service, revision: int | None = None) -> str:
    return service.name if revision is None else f"{service.name}@r{revision}"


def first_version(name: str) -> str:
    """The name of the same cluster without HTTP/2, for those who come by a name."""
    return f"{name}@h1"


@lru_cache(maxsize=10_000)
def cluster(
    name: str,
    *,
    protocol: Protocol,
    http2: bool = True,
    check: HealthCheck | None = None,
    limits: Limits | None = None,
    ejection: Ejection | None = None,
    journal: Path | None = None,
) -> Any:
    """Its endpoints come separately: a change of them touches no connection of the others.

    With a `check`, an endpoint gets requests once it has passed it; what changes is written to `journal`. Without
    `http2`, instances hear HTTP/1.1 also from clients that speak HTTP/2. Not to be changed: whoever asks for the same
    gets the same, as each change of an app asks for all of its clusters.
    """
    by_http = protocol in HTTP_PROTOCOLS or _by_grpc(check)
    counted = [*stats.kept(name, protocol), *(breakers.kept(name) if limits else [])]
    return Cluster(
        name=name,
        metadata=only(counted),
        type="EDS",
        eds_cluster_config={"eds_config": {"ads": {}, "resource_api_version": "V3"}},
        connect_timeout=timedelta(seconds=CONNECT_TIMEOUT_S),
        # Of two at random the less busy one: what has become slow gets less, long connections spread evenly.
        lb_policy="LEAST_REQUEST",
        common_lb_config={
            # By default, when few are healthy, all get traffic: also those that are suspended.
            "healthy_panic_threshold": {"value": 0},
            # By default a change of health reaches the threads that carry the traffic up to a second later.
            "update_merge_window": timedelta(0),
            # So that one who has not been asked yet can be told from one who does not answer.
            "ignore_new_hosts_until_first_hc": True,
        },
        circuit_breakers=_breakers(limits or Limits()),
        outlier_detection=_OUTLIERS | _ejection(ejection) if ejection else _OUTLIERS,
        health_checks=[active_check(check, journal)] if check else [],
        # By default what is well stays, although we have taken it away.
        ignore_health_on_host_removal=True,
        upstream_connection_options={"tcp_keepalive": _KEEPALIVE},
        typed_extension_protocol_options=_http_options(check, http2=http2) if by_http else {},
    )


def _breakers(limits: Limits) -> dict[str, Any]:
    """Each counts what all of Envoy's threads do together."""
    most = {
        "max_connections": limits.connections,
        "max_pending_requests": limits.pending,
        "max_requests": limits.requests,
        "max_retries": limits.retries,
    }
    return {"thresholds": [{name: {"value": value or _UNLIMITED} for name, value in most.items()}]}


def _ejection(ejection: Ejection) -> dict[str, Any]:
    """For answers alone: Envoy has one time for all, and takes a stream that a server ends for a lost connection."""
    time = timedelta(seconds=ejection.for_s)
    return {
        "consecutive_5xx": {"value": ejection.after},
        "enforcing_consecutive_5xx": {"value": 100},
        "enforcing_consecutive_local_origin_failure": {"value": 0},
        "base_ejection_time": time,
        "max_ejection_time": time,
        "max_ejection_percent": {"value": ejection.percent},
        # What fails in its work may answer its check all the same.
        "successful_active_health_check_uneject_host": {"value": False},
    }


def _http_options(check: HealthCheck | None, *, http2: bool) -> dict[str, Any]:
    """An instance hears what its client speaks, HTTP/1.1 or HTTP/2 (gRPC), as it would without a gateway."""
    # A check would be cut off by the limit for idle connections, while it waits for the answer.
    limit = "max_connection_duration" if check and check.type in ("http", "grpc") else "idle_timeout"
    options = HttpProtocolOptions(
        **_versions(check, http2=http2),
        common_http_protocol_options={
            limit: timedelta(seconds=IDLE_S),
            "max_headers_count": {"value": MAX_HEADERS},
        },
    )
    return {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": packed(options)}


def _versions(check: HealthCheck | None, *, http2: bool) -> dict[str, Any]:
    if _by_grpc(check):  # Envoy makes such a check only where instances are known to speak HTTP/2
        return {"explicit_http_config": {"http2_protocol_options": {}}}
    if http2:
        return {"use_downstream_protocol_config": {"http_protocol_options": {}, "http2_protocol_options": {}}}
    return {"explicit_http_config": {"http_protocol_options": {}}}


def _by_grpc(check: HealthCheck | None) -> bool:
    return check is not None and check.type == "grpc"


def load_assignment(name: str, port: int, endpoints: Iterable[Endpoint], *, ejection: Ejection | None = None) -> Any:
    """Where the endpoints of a cluster are, at the service's `port`, and which of them get new requests.

    A held one gets none, but what it works on can end. While one is held and none is active and well, new requests
    wait. They do so at a lower priority, which is used as long as the higher has nobody who is well. Where answers
    decide on `ejection`, an instance is not taken out for connections, so that nothing has to be done about that.
    """
    endpoints = list(endpoints)
    known: dict[str, Endpoint] = {}
    for endpoint in sorted(endpoints, key=lambda e: (e.state == "active", e.instance)):
        known[endpoint.address] = endpoint  # an address that was given away again belongs to the active one
    at = sorted(known.values(), key=lambda e: e.instance)
    waits = any(e.state == "held" for e in endpoints)
    hosts = [_host(e, port) for e in at]
    if ejection is None:
        active = [e for e in at if e.state == "active"]
        waits = waits or (len(active) == 1 and len(at) > 2)
        hosts += [_nobody()] if len(active) == len(at) == 2 and active[0].revision == active[1].revision else []
    groups: list[dict[str, Any]] = [{"lb_endpoints": hosts}] if hosts else []
    if waits:
        groups.append({"lb_endpoints": _waiting_places(len(hosts) + 1), "priority": 1})
    return ClusterLoadAssignment(cluster_name=name, endpoints=groups, policy=_ONE_IS_ENOUGH)


def _nobody() -> dict[str, Any]:
    """One that is known and gets nothing."""
    return {**_waiting_places(1)[0], "health_status": "UNHEALTHY"}


def _waiting_places(count: int) -> list[dict[str, Any]]:
    """Addresses that refuse every connection at once, so that it is tried again until there is an active endpoint.

    Nobody can listen on port 0. The address of the instance that has stopped won't do: it may already be another's,
    and connections to one that is nobody's end only by timeout. There is one more of them than of other endpoints,
    so that outlier detection, which takes out half of all, always leaves one.
    """
    return [
        {
            "endpoint": {"address": _socket(f"127.0.0.{n + 1}", 0), "health_check_config": _UNCHECKED},
            "health_status": "HEALTHY",
        }
        for n in range(count)
    ]


def _host(endpoint: Endpoint, port: int) -> dict[str, Any]:
    """A suspended one is not checked: when it is admitted again it is looked at anew, and at once."""
    asked = {"hostname": f"{endpoint.address}:{port}"}
    return {
        "endpoint": {
            "address": _socket(endpoint.address, port),
            "hostname": endpoint.instance,  # shown by the admin interface, used for nothing else
            "health_check_config": _UNCHECKED if endpoint.state == "suspended" else asked,
        },
        "health_status": _HEALTH[endpoint.state],
        "load_balancing_weight": {"value": endpoint.weight},
    }


def _socket(address: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": address, "port_value": port}}
