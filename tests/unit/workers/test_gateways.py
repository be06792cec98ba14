"""The gateway before it runs."""

import asyncio

import pytest

from iarnet.errors import GatewayUnavailable, Missing
from iarnet.gateway.base import Gateway
from workers.gateways import LateGateway


async def wanted() -> bool:
    return True


async def test_who_writes_does_not_wait_for_a_start_that_takes_long() -> None:
    async def never() -> Gateway:
        await asyncio.Event().wait()
        raise AssertionError

    gateway = LateGateway(never, wanted)
    with pytest.raises(GatewayUnavailable, match="does not start: no answer yet"):
        await gateway.refresh("shop", 0.01)
    assert (await gateway.breakers(), await gateway.checks()) == ([], {})
    await gateway.aclose()


async def test_why_it_does_not_start_is_told() -> None:
    async def missing() -> Gateway:
        raise Missing("there is no Envoy", where="gateway.binary")

    gateway = LateGateway(missing, wanted)
    with pytest.raises(GatewayUnavailable, match="there is no Envoy"):
        await gateway.refresh("shop", 0.1)
    await gateway.aclose()
