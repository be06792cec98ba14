"""Which of its counters Envoy keeps for a cluster or a listener.

https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/advanced/metadata_configurations
"""

from collections.abc import Iterable
from typing import Any

from envoy.config.metrics.v3.stats_pb2 import StatsMatcher

from iarnet.gateway.packing import packed


def only(names: Iterable[str]) -> dict[str, Any]:
    """Metadata for these, and for those whose names go on after one of them with a dot.

    Each is to be a prefix that ends in a dot: of every counter that another kind of list leaves out, Envoy remembers
    for as long as the cluster or listener is there that it did.
    """
    patterns = [{"prefix": f"{name}."} for name in names]
    return {
        "typed_filter_metadata": {"envoy.stats_matcher": packed(StatsMatcher(inclusion_list={"patterns": patterns}))}
    }
