"""Who may come in by a listener, and what they are led to, as Envoy's matchers.

A filter chain could say by itself which connections it is for. That takes Envoy 3 kB more for each listener.
Fields: https://www.envoyproxy.io/docs/envoy/v1.40.0/xds/type/matcher/v3/matcher.proto and the inputs for networks.
"""

from ipaddress import ip_network
from typing import Any

from envoy.extensions.matching.common_inputs.network.v3.network_inputs_pb2 import (
    ApplicationProtocolInput,
    SourceIPInput,
)
from google.protobuf.wrappers_pb2 import StringValue
from xds.type.matcher.v3.ip_pb2 import IPMatcher  # type: ignore[import-untyped]

from iarnet.gateway.packing import extension

OnMatch = dict[str, Any]
"""An action, or another matcher."""

_QUOTE = "'"
_CHAIN = "filter-chain-name"


def to_chain(name: str) -> OnMatch:
    return {"action": extension(_CHAIN, StringValue(value=name))}


def by_protocol(http: OnMatch, other: OnMatch | None) -> OnMatch:
    """What is HTTP, and what is not; None turns that away. The listener must have the HTTP inspector, alone: the
    protocols that are found come in quotes, and it finds no others."""
    tree = {"input": extension("protocol", ApplicationProtocolInput()), "prefix_match_map": {"map": {_QUOTE: http}}}
    return {"matcher": {"matcher_tree": tree, **({"on_no_match": other} if other else {})}}


def from_subnet(subnet: str | None, then: OnMatch) -> OnMatch:
    """Others are turned away. None is for everybody."""
    if subnet is None:
        return then
    network = ip_network(subnet)
    inside = {"address_prefix": str(network.network_address), "prefix_len": {"value": network.prefixlen}}
    ranges = IPMatcher(range_matchers=[{"ranges": [inside], "on_match": then}])
    tree = {"input": extension("source", SourceIPInput()), "custom_match": extension("ip", ranges)}
    return {"matcher": {"matcher_tree": tree}}


def matcher(found: OnMatch) -> dict[str, Any]:
    """One that leads to an action without a condition needs no other."""
    wrapped: dict[str, Any] = found.get("matcher") or {"on_no_match": found}
    return wrapped
