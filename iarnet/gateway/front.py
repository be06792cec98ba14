"""Where names are answered: two listeners that all apps share, one for HTTP and one for HTTPS. Pure.

For HTTPS each name has a filter chain of its own, so that a new one, or one that goes, touches no connection of the
others, and its certificate comes separately, so that a renewed one touches none at all.
Fields: https://www.envoyproxy.io/docs/envoy/v1.40.0/api-v3/extensions/transport_sockets/tls/v3/tls.proto
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.listener.tls_inspector.v3.tls_inspector_pb2 import TlsInspector
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import DownstreamTlsContext

from iarnet.gateway.access_log import NAMED, NAMED_APP, access_log
from iarnet.gateway.listeners import COUNTED, KEEPALIVE, http_connections
from iarnet.gateway.named import Hosts, Ports, nobody
from iarnet.gateway.packing import extension
from iarnet.gateway.resources import LISTENER, ROUTES, SECRET, Resources
from iarnet.models.domains import Challenge

HTTP, HTTPS = "@http", "@https"
"""In the place of an app's name, which has no `@`."""

HANDSHAKE_S = 15

_NO = {"value": False}


@dataclass(frozen=True)
class Pair:
    """A certificate with its private key, both PEM."""

    chain: str
    key: str = field(repr=False)


def http(hosts: Hosts, certified: Collection[str], challenges: Iterable[Challenge]) -> Resources:
    """Nothing without a domain. `certified` are the names that HTTPS answers."""
    if not hosts.domains:
        return {}
    asked: dict[str, list[Challenge]] = defaultdict(list)
    for challenge in challenges:
        asked[challenge.host].append(challenge)
    name = f"{HTTP}/{hosts.ports.address}:{hosts.ports.http}/tcp"
    known = [hosts.over_http(d, asked[d.host], certified=d.host in certified) for d in hosts.domains.values()]
    chains = [{"name": "http", "filters": [_connections(name, hosts.ports)]}]
    return {
        LISTENER: {name: _listener(name, hosts.ports.address, hosts.ports.http, chains)},
        ROUTES: {name: _routes(name, [*known, nobody(404, "No application has this name.")])},
    }


def https(hosts: Hosts, pairs: Mapping[str, Pair]) -> Resources:
    """For the names that have a certificate; the others get no handshake."""
    listener = f"{HTTPS}/{hosts.ports.address}:{hosts.ports.https}/tcp"
    names = {host: f"{listener}#{host}" for host in sorted(pairs)}
    if not names:
        return {}
    chains = [_chain(host, name, hosts.ports) for host, name in names.items()]
    filters = [extension("envoy.filters.listener.tls_inspector", TlsInspector())]
    routes = {name: _answered(hosts, host) for host, name in names.items()}
    return {
        LISTENER: {listener: _listener(listener, hosts.ports.address, hosts.ports.https, chains, filters)},
        ROUTES: {name: _routes(name, virtual) for name, virtual in routes.items()},
        SECRET: {name: _secret(name, pairs[host]) for host, name in names.items()},
    }


def _answered(hosts: Hosts, host: str) -> list[Any]:
    domain = hosts.domains[host]
    return [hosts.over_https(domain), *hosts.misdirected(domain)]


def _routes(name: str, hosts: Sequence[Any]) -> Any:
    return RouteConfiguration(
        name=name, virtual_hosts=hosts, ignore_port_in_host_matching=True, validate_clusters=_NO
    )


def _connections(routes: str, ports: Ports) -> dict[str, Any]:
    log = access_log(ports.access_log, NAMED_APP, NAMED, "grpc") if ports.access_log else []
    return http_connections(routes, published=True, grpc=True, log=log)


def _chain(host: str, name: str, ports: Ports) -> dict[str, Any]:
    certificate = {"name": name, "sds_config": {"ads": {}, "resource_api_version": "V3"}}
    tls = DownstreamTlsContext(
        common_tls_context={
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
            "tls_certificate_sds_secret_configs": [certificate],
            "alpn_protocols": ["h2", "http/1.1"],
        }
    )
    return {
        "name": host,
        "filter_chain_match": {"server_names": [host], "transport_protocol": "tls"},
        "filters": [_connections(name, ports)],
        "transport_socket": extension("envoy.transport_sockets.tls", tls),
        "transport_socket_connect_timeout": timedelta(seconds=HANDSHAKE_S),
    }


def _listener(name: str, address: str, port: int, chains: Sequence[Any], filters: Sequence[Any] = ()) -> Any:
    return Listener(
        name=name,
        metadata=COUNTED,
        address={"socket_address": {"address": address, "port_value": port}},
        # A port that is somebody else's is refused, not shared with it.
        enable_reuse_port=_NO,
        socket_options=KEEPALIVE,
        filter_chains=chains,
        listener_filters=filters,
    )


def _secret(name: str, pair: Pair) -> Any:
    return Secret(
        name=name,
        tls_certificate={
            "certificate_chain": {"inline_string": pair.chain},
            "private_key": {"inline_string": pair.key},
        },
    )
