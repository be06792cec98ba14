"""The gateway before it runs, and where none is to run."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from iarnet.config import Settings
from iarnet.errors import GatewayUnavailable, Missing
from iarnet.gateway.base import Gateway
from iarnet.models.source import GitSource
from iarnet.models.traffic import Service
from iarnet.secrets.sealed import MemoryRows, SealedSecrets
from iarnet.store.open import open_store
from workers.gateways import LateGateway, gateways


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


async def test_what_was_served_is_forgotten_where_nothing_serves_it_any_more(tmp_path: Path) -> None:
    """Also by a gateway that could never start: it is turned off for that."""
    settings = Settings.model_validate({"data_dir": tmp_path, "gateway": {"enabled": False}})
    store = await open_store(f"sqlite:///{tmp_path}/iarnet.db", lambda: datetime.now(UTC))
    await store.apps.create("shop", GitSource(url="https://example.org/shop.git"))
    places = {"address": "10.210.8.1", "subnet": "10.210.8.0/26"}
    for provider_id in ("local-docker", "far"):
        left = Service(app="shop", component="web", port=8080, provider_id=provider_id, **places)
        await store.traffic.serve("shop", provider_id, [left])
    async with gateways(settings, store, SealedSecrets(MemoryRows(), b"k" * 32)) as found:
        for provider_id in ("local-docker", "far"):
            await found.get(provider_id).serve("shop", provider_id, ())
    assert await store.traffic.services("shop") == []
    await store.aclose()
