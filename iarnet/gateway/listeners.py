"""Where services are reached, as Envoy's listeners.

Fields: https://www.envoyproxy.io/docs/envoy/v1.40.0/api-v3/config/listener/v3/listener.proto and the filters'.
"""

import socket
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.filters.http.grpc_stats.v3.config_pb2 import FilterConfig as GrpcStats
from envoy.extensions.filters.http.router.v3.router_pb2 import Router
from envoy.extensions.filters.listener.http_inspector.v3.http_inspector_pb2 import HttpInspector
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)
from envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy
from envoy.extensions.filters.udp.udp_proxy.v3.route_pb2 import Route as UdpRoute
from envoy.extensions.filters.udp.udp_proxy.v3.udp_proxy_pb2 import UdpProxyConfig
from envoy.extensions.request_id.uuid.v3.uuid_pb2 import UuidRequestIdConfig

from iarnet.gateway.access_log import NAMED, access_log
from iarnet.gateway.clusters import (
    KEEPALIVE_AGAIN_S,
    KEEPALIVE_S,
    KEEPALIVE_TRIES,
    MAX_HEADERS,
    cluster_name,
)
from iarnet.gateway.keeping import only
from iarnet.gateway.matching import OnMatch, by_protocol, from_subnet, matcher, to_chain
from iarnet.gateway.packing import extension, packed
from iarnet.models.traffic import HTTP_PROTOCOLS, Service

SERVER_FIRST_S = 2.0
"""On a port for HTTP, a neighbour that is silent for so long waits for the server to speak: it is not HTTP. A busy
machine may not keep one so long from its first request: taken for something else, it is cut off with its instance."""

SERVER_FIRST_PUBLISHED_S = 3.0
"""Longer, as browsers open connections that they use only later."""

HEADERS_S = 60
"""For a request's headers to arrive."""

UDP_SESSION_S = 60

TCP_TRIES = 600
TCP_TRY_WITHIN = timedelta(milliseconds=100)
"""30 s in all, as for HTTP. All connections of a listener share one back-off, which stays at its bound."""

# By default it writes into IDs that others have made whether it has traced the request.
_REQUEST_ID = packed(UuidRequestIdConfig(pack_trace_reason={"value": False}))
COUNTED = only(["vhost"])
"""Of what a listener counts, only what its routes do."""

_LARGEST_DATAGRAM = {"max_rx_datagram_size": {"value": 65535}}
_NEVER = timedelta(0)
_NO = {"value": False}

KEEPALIVE = [
    {"level": level, "name": name, "int_value": value, "state": "STATE_LISTENING"}
    for level, name, value in (
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_S),
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_AGAIN_S),
        (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_TRIES),
    )
]


@dataclass(frozen=True)
class Place:
    """An address and port with what is behind it. Only `subnet` may use it; None is for everybody."""

    app: str
    address: str
    port: int
    subnet: str | None
    services: tuple[Service, ...]

    @property
    def udp(self) -> bool:
        return self.services[0].protocol == "udp"

    @property
    def http(self) -> bool:
        return self.services[0].protocol in HTTP_PROTOCOLS

    @property
    def grpc(self) -> bool:
        return any(service.protocol == "grpc" for service in self.services)

    @property
    def name(self) -> str:
        return f"{self.app}/{self.address}:{self.port}/{'udp' if self.udp else 'tcp'}"


def places(services: Iterable[Service], publish_address: str) -> list[Place]:
    """Raises `ValueError` where two services can't be told apart."""
    found: dict[tuple[str, int, bool], list[tuple[Service, str | None]]] = defaultdict(list)
    for service in services:
        udp = service.protocol == "udp"
        found[service.address, service.port, udp].append((service, service.subnet))
        if service.host_port is not None:
            found[publish_address, service.host_port, udp].append((service, None))
    return [_place(address, port, behind) for (address, port, _), behind in found.items()]


def listener(place: Place, *, only_http: bool, log: Path | None = None) -> Any:
    """`only_http` closes a port for HTTP to everything else, which otherwise goes to its one service as it is."""
    common = {
        "name": place.name,
        "metadata": COUNTED,
        "address": {
            "socket_address": {
                "protocol": "UDP" if place.udp else "TCP",
                "address": place.address,
                "port_value": place.port,
            }
        },
        # The bridge of an app's network may come up after this.
        "freebind": {"value": place.subnet is not None},
    }
    if place.udp:
        return Listener(
            **common,
            udp_listener_config={"downstream_socket_config": _LARGEST_DATAGRAM},
            listener_filters=[_udp_proxy(place)],
        )
    return Listener(
        **common,
        # A port that is somebody else's is refused, not shared with it.
        enable_reuse_port=_NO,
        socket_options=KEEPALIVE,
        **_chains(place, only_http=only_http, log=log),
        **(_inspection(place) if place.http else {}),
    )


def _place(address: str, port: int, behind: list[tuple[Service, str | None]]) -> Place:
    ordered = tuple(sorted((service for service, _ in behind), key=lambda s: s.name))
    subnets = {subnet for _, subnet in behind}
    by_host = (
        len(subnets) == 1
        and None not in subnets
        and all(s.protocol in HTTP_PROTOCOLS for s in ordered)
        and len({s.component for s in ordered}) == len(ordered)
    )
    if len(ordered) > 1 and not by_host:
        raise ValueError(f"{address}:{port} is wanted by {', '.join(s.name for s in ordered)}")
    return Place(ordered[0].app, address, port, subnets.pop(), ordered)


def _inspection(place: Place) -> dict[str, Any]:
    # Also where no chain takes what is not HTTP: a change of chains alone leaves other connections in peace.
    waits = SERVER_FIRST_PUBLISHED_S if place.subnet is None else SERVER_FIRST_S
    return {
        "listener_filters": [extension("envoy.filters.listener.http_inspector", HttpInspector())],
        "listener_filters_timeout": timedelta(seconds=waits),
        "continue_on_listener_filters_timeout": True,
    }


def _chains(place: Place, *, only_http: bool, log: Path | None) -> dict[str, Any]:
    other = {"name": "tcp", "filters": [_tcp_proxy(place, None if place.http else log)]}
    if not place.http:
        return _led(place, [other], to_chain("tcp"))
    http = {"name": "http", "filters": [_http(place, log)]}
    if only_http or len(place.services) > 1:
        return _led(place, [http], by_protocol(to_chain("http"), None))
    return _led(place, [http, other], by_protocol(to_chain("http"), to_chain("tcp")))


def _led(place: Place, chains: list[dict[str, Any]], to: OnMatch) -> dict[str, Any]:
    return {"filter_chains": chains, "filter_chain_matcher": matcher(from_subnet(place.subnet, to))}


def _http(place: Place, log: Path | None) -> dict[str, Any]:
    return http_connections(
        place.name,
        published=place.subnet is None,
        grpc=place.grpc,
        log=access_log(log, place.app, _component(place), "grpc" if place.grpc else "http") if log else [],
        default_host=place.services[0].component if len(place.services) == 1 else "",
    )


def http_connections(
    routes: str, *, published: bool, grpc: bool, log: Sequence[Any], default_host: str = ""
) -> dict[str, Any]:
    """A filter for connections with HTTP, led by the route configuration `routes`."""
    manager = HttpConnectionManager(
        stat_prefix="http",
        # Routes come separately: a change of them touches no connection.
        rds={"config_source": {"ads": {}, "resource_api_version": "V3"}, "route_config_name": routes},
        http_filters=_filters(grpc=grpc),
        access_log=log,
        upgrade_configs=[{"upgrade_type": "websocket"}],
        http_protocol_options={
            "accept_http_10": True,
            "default_host_for_http_10": default_host,
        },
        common_http_protocol_options={"max_headers_count": {"value": MAX_HEADERS}},
        request_headers_timeout=timedelta(seconds=HEADERS_S),
        # Long polls, server-sent events and WebSockets may be silent for as long as they like.
        stream_idle_timeout=_NEVER,
        # From outside, the address of the client is added and its scheme is ours to say; a neighbour passes on what
        # it was told.
        use_remote_address={"value": published},
        preserve_external_request_id=True,
        request_id_extension={"typed_config": _REQUEST_ID},
        # What goes in comes out, as if nothing were between.
        server_header_transformation="PASS_THROUGH",
        proxy_100_continue=True,
        normalize_path=_NO,
        merge_slashes=False,
        path_with_escaped_slashes_action="KEEP_UNCHANGED",
    )
    return extension("envoy.filters.network.http_connection_manager", manager)


def _filters(*, grpc: bool) -> list[dict[str, Any]]:
    router = extension("envoy.filters.http.router", Router(suppress_envoy_headers=True))
    # Whether a call has succeeded is said behind its answer, which is 200 in any case.
    return [*([extension("envoy.filters.http.grpc_stats", GrpcStats())] if grpc else []), router]


def _component(place: Place) -> str:
    return place.services[0].component if len(place.services) == 1 else NAMED


def _tcp_proxy(place: Place, log: Path | None) -> dict[str, Any]:
    proxy = TcpProxy(
        stat_prefix="tcp",
        access_log=access_log(log, place.app, _component(place), "tcp") if log else [],
        cluster=cluster_name(place.services[0]),
        # Databases keep their connections.
        idle_timeout=_NEVER,
        max_connect_attempts={"value": TCP_TRIES},
        backoff_options={"base_interval": TCP_TRY_WITHIN, "max_interval": TCP_TRY_WITHIN},
    )
    return extension("envoy.filters.network.tcp_proxy", proxy)


def _udp_proxy(place: Place) -> dict[str, Any]:
    to_service = {"action": extension("route", UdpRoute(cluster=cluster_name(place.services[0])))}
    proxy = UdpProxyConfig(
        stat_prefix="udp",
        matcher=matcher(from_subnet(place.subnet, to_service)),
        idle_timeout=timedelta(seconds=UDP_SESSION_S),
        upstream_socket_config=_LARGEST_DATAGRAM,
    )
    return extension("envoy.filters.udp_listener.udp_proxy", proxy)
