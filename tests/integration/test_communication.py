"""The API's routes and shares, with a real Envoy behind them."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psutil
import pytest
from temporalio.client import Client

from api.app import create_app
from api.services import Services
from iarnet.gateway import process
from iarnet.models.app import Revision
from iarnet.models.change import Begin
from iarnet.models.component import Component, Port
from iarnet.providers.memory import MemoryProvider
from iarnet.secrets.sealed import MemoryRows, SealedSecrets
from tests.integration.gateway_world import GatewayWorld, Load, Replica, gateway_world
from tests.unit.api.conftest import BASE, TOKEN, OneProvider, analyze, forget, refuse, replay

V1 = "/api/v1/communication"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[GatewayWorld]:
    """`api` of `shop` is served, with an instance of each of two revisions."""
    async with gateway_world(tmp_path) as made:
        await _deployed(made)
        await made.serve()
        yield made


@pytest.fixture
async def client(world: GatewayWorld) -> AsyncIterator[httpx.AsyncClient]:
    services = Services(
        store=world.store,
        temporal=await Client.connect("127.0.0.1:1", lazy=True),
        providers=OneProvider(MemoryProvider()),
        secrets=SealedSecrets(MemoryRows(), b"k" * 32),
        token=TOKEN,
        node="here",
        owner="here-1",
        namespace="iarnet",
        clock=lambda: datetime.now(UTC),
        add_provider=refuse,
        remove_provider=forget,
        replay=replay,
        analyze=analyze,
        gateway=world.gateway,
    )
    headers = {"Authorization": f"Bearer {TOKEN}"}
    transport = httpx.ASGITransport(create_app(services))
    async with httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers) as found:
        yield found


async def test_a_route_leads_at_once_where_it_says(world: GatewayWorld, client: httpx.AsyncClient) -> None:
    first, second = await world.replica(), await world.replica(1)
    body = {"app": "shop", "component": "api", "path": "/beta", "hosts": ["shop.example", "*.shop.example"]}
    body |= {"headers": {"X-Group": "b"}, "cookies": {"who": "ann"}, "timeout_s": 5, "mirror": "api", "retries": 0}
    body |= {"to": [{"component": "api", "revision": 2}]}
    added = await client.post(f"{V1}/routes", json=body)
    assert added.status_code == 201, added.text
    matching = {"Host": "www.shop.example", "x-group": "b", "Cookie": "a=1; who=ann"}
    assert await _asked(world, "/beta/x", matching) == {second.name: 20}
    assert set(await _asked(world, "/betas", matching)) == {first.name, second.name}
    assert set(await _asked(world, "/beta", matching | {"x-group": "c"})) == {first.name, second.name}
    assert (await client.delete(f"{V1}/routes/{added.json()['id']}")).status_code == 204
    assert set(await _asked(world, "/beta/x", matching)) == {first.name, second.name}


async def test_a_canary_grows_and_loses_nothing(world: GatewayWorld, client: httpx.AsyncClient) -> None:
    first, second = await world.replica(), await world.replica(1)
    canary = {"app": "shop", "component": "api"}
    async with Load(world.url) as load:
        method, path = "POST", f"{V1}/routes"
        for share in (0, 10, 50, 100):
            to = [{"component": "api", "revision": n, "weight": w} for n, w in ((1, 100 - share), (2, share))]
            answer = await client.request(method, path, json=canary | {"to": to})
            assert answer.status_code < 300, answer.text
            method, path = "PUT", f"{V1}/routes/{answer.json()['id']}"
            await load.more()
        assert await _asked(world, "/", {}) == {second.name: 20}
    assert load.failed == []
    assert load.answers[first.name] > 0


async def test_the_share_of_an_endpoint_takes_effect(world: GatewayWorld, client: httpx.AsyncClient) -> None:
    first, second = await world.replica(), await world.replica(1)
    for name, weight in ((first.name, 1), (second.name, 1000)):
        assert (await client.put(f"{V1}/endpoints/{name}", json={"weight": weight})).status_code == 200
    assert (await _asked(world, "/", {}, count=200))[first.name] < 20
    found = {e["instance"]: e for e in (await client.get(f"{V1}/endpoints")).json()["endpoints"]}
    assert found[second.name]["health"] == "healthy"
    assert found[second.name]["load"]["requests_total"] > 180


async def test_a_server_outside_takes_part_until_it_is_removed(
    world: GatewayWorld, client: httpx.AsyncClient
) -> None:
    inside = await world.replica()
    outside = Replica("outside", _own_address(), world.port)
    await outside.start()
    try:
        body = {"app": "shop", "component": "api", "address": outside.address}
        added = await client.post(f"{V1}/endpoints", json=body)
        assert added.status_code == 201, added.text
        assert set(await _asked(world, "/", {})) == {inside.name, "outside"}
        async with Load(world.url) as load:
            await load.more()
            assert (await client.delete(f"{V1}/endpoints/{added.json()['instance']}")).status_code == 204
            await outside.stop()
            await load.more()
        assert load.failed == []
    finally:
        await outside.stop()
    assert await _asked(world, "/", {}) == {inside.name: 20}


async def test_without_envoy_a_write_is_taken_back(
    world: GatewayWorld, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is refused, so it is: later nothing of it comes to life."""
    monkeypatch.setattr("api.routes.communication._WITHIN_S", 0.2)
    monkeypatch.setattr("api.routes.communication._BACK_WITHIN_S", 0.0)
    first, second = await world.replica(), await world.replica(1)
    await process.stop(world.where)
    body = {"app": "shop", "component": "api", "to": [{"component": "api", "revision": 2}]}
    for call in (
        client.post(f"{V1}/routes", json=body),
        client.put(f"{V1}/endpoints/{first.name}", json={"weight": 9}),
    ):
        answer = await call
        assert (answer.status_code, answer.json()["code"]) == (503, "GatewayUnavailable")
    assert await world.store.traffic.routes() == []
    assert {e.weight for e in await world.store.traffic.endpoints()} == {100}
    world.envoy = await process.start(world.where)
    await world.gateway.refresh("shop")
    assert set(await _asked(world, "/", {})) == {first.name, second.name}


async def _deployed(world: GatewayWorld) -> None:
    facts, now = world.store.facts, datetime.now(UTC)
    begun = await facts.begin(Begin(app="shop", cause="deploy", workflow_id="change.shop", run_id="run-1"))
    component = Component(name="api", kind="api", image="api", ports=(Port(port=world.port),))
    commit = tree = "c" * 40
    revision = Revision(app="shop", number=1, commit=commit, tree=tree, components=(component,), created_at=now)
    await facts.save_revision(revision)
    await world.store.apps.set_running("shop", 1, commit, begun.epoch)


async def _asked(world: GatewayWorld, path: str, headers: dict[str, str], count: int = 20) -> Counter[str]:
    async with httpx.AsyncClient(base_url=world.url, headers=headers) as http:
        return Counter([(await http.get(path)).raise_for_status().text for _ in range(count)])


def _own_address() -> str:
    """One of this machine's that is not its loopback."""
    found = [a.address for each in psutil.net_if_addrs().values() for a in each if a.family.name == "AF_INET"]
    return next(address for address in found if not address.startswith("127."))
