"""The server of Envoy's configuration, while there is no Envoy, or one that says little."""

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DeltaDiscoveryResponse

from iarnet.errors import GatewayUnavailable, Missing
from iarnet.gateway.resources import CLUSTER, LISTENER, Resources
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


async def test_checks_come_once_everybody_is_served(tmp_path: Path) -> None:
    """A cluster that is replaced by one with a check may keep Envoy from accepting any other for a while."""
    ads = AdsServer()
    await ads.start(tmp_path / "ads.sock")
    method = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
    async with grpc.aio.insecure_channel(f"unix:{tmp_path}/ads.sock") as channel, asyncio.timeout(10):
        stream = channel.stream_stream(
            method,
            request_serializer=DeltaDiscoveryRequest.SerializeToString,
            response_deserializer=DeltaDiscoveryResponse.FromString,
        )()

        async def come() -> tuple[str, dict[str, int]]:
            """The nonce, and how many checks each cluster has."""
            response = await stream.read()
            return response.nonce, {r.name: len(_cluster(r).health_checks) for r in response.resources}

        async def accept(nonce: str) -> None:
            await stream.write(DeltaDiscoveryRequest(type_url=CLUSTER, response_nonce=nonce))

        for type_url in (CLUSTER, LISTENER):
            await stream.write(DeltaDiscoveryRequest(type_url=type_url))
            assert (await come())[1] == {}
        nonces = {}
        for app in ("one", "two", "three"):
            name = f"{app}/api"
            ads.put(app, {CLUSTER: {name: Cluster(name=name, health_checks=[{"tcp_health_check": {}}])}})
            nonces[app], found = await come()
            assert found == {name: 0}
            if app == "two":
                await accept(nonces["one"])
                await ads.settled("one", 1.0)
        for app in ("two", "three"):
            await accept(nonces[app])
        checked: dict[str, int] = {}
        while len(checked) < 3:
            checked |= (await come())[1]
        assert checked == {"one/api": 1, "two/api": 1, "three/api": 1}
    await ads.stop()


def _cluster(resource: Any) -> Any:
    cluster = Cluster()
    assert resource.resource.Unpack(cluster)
    return cluster
