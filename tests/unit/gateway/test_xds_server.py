"""The server of Envoy's configuration, while there is no Envoy."""

from pathlib import Path

import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster

from iarnet.errors import GatewayUnavailable, Missing
from iarnet.gateway.resources import CLUSTER, Resources
from iarnet.gateway.xds import AdsServer


def resources(name: str) -> Resources:
    return {CLUSTER: {name: Cluster(name=name)}}


async def test_what_is_put_without_an_envoy_is_not_settled() -> None:
    ads = AdsServer()
    ads.put("shop", resources("shop/api"))
    with pytest.raises(GatewayUnavailable, match="No Envoy is connected") as refusal:
        await ads.settled("shop", 0.01)
    assert refusal.value.retryable


async def test_resources_belong_to_their_app() -> None:
    with pytest.raises(ValueError, match="other/api"):
        AdsServer().put("shop", resources("other/api"))


async def test_a_path_that_cannot_be_listened_on_is_missing(tmp_path: Path) -> None:
    with pytest.raises(Missing, match="nothing"):
        await AdsServer().start(tmp_path / "nothing" / "ads.sock")
