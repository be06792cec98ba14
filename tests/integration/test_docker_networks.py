"""Subnets of applications on a machine whose own interfaces have addresses in the pool."""

import asyncio
import json
import os
import shutil
import subprocess
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from ipaddress import IPv4Network, ip_address
from pathlib import Path

import psutil
import pytest
from docker.types import IPAMConfig, IPAMPool

from iarnet.errors import NoRoom
from iarnet.models.component import HealthCheck
from iarnet.models.provider import ProviderInfo
from iarnet.models.source import GitSource
from iarnet.models.traffic import Service
from iarnet.providers.docker.connection import Connection
from iarnet.providers.docker.network import candidates
from iarnet.providers.docker.provider import DockerProvider
from iarnet.providers.docker.spec import OWNER
from iarnet.store.open import open_store
from tests.conftest import missing
from tests.contract.docker_engine import prune_networks
from tests.contract.provider_worlds import (
    PORT,
    WITHIN_S,
    DockerWorld,
    PlainSecrets,
    docker_world,
    eventually,
    spec_of,
)
from tests.integration.remote_engine import relay
from workers.addresses import Addresses

pytestmark = pytest.mark.docker

POOL = "10.210.0.0/16"
HTTP = HealthCheck(type="http", port=PORT, timeout_s=WITHIN_S)

_ALIAS = "iarnet-test-of-"


def _left_bridge() -> str:
    """As a bridge that an ended engine left."""
    return f"br-{uuid.uuid4().hex[:12]}"


def _other_interface() -> str:
    return f"vm-{uuid.uuid4().hex[:8]}"


in_the_way = pytest.mark.parametrize("interface", [_left_bridge, _other_interface])


@pytest.fixture(scope="module")
def may_make_interfaces() -> None:
    if os.geteuid() != 0 or not shutil.which("ip"):
        missing("the right to make interfaces (root, with iproute2)")
    _remove_forgotten()


@pytest.fixture
async def world(may_make_interfaces: None) -> AsyncIterator[DockerWorld]:
    async with docker_world() as made:
        yield made


@in_the_way
async def test_an_app_gets_a_subnet_that_no_interface_has(world: DockerWorld, interface: Callable[[], str]) -> None:
    wanted = _first_choice(world)
    with _interface(interface(), wanted):
        made = await world.provider.deploy(spec_of(world))
        subnet = _subnet(world)
        assert subnet.subnet_of(IPv4Network(POOL))
        assert not subnet.overlaps(wanted)
        assert ip_address(made.address or "") in subnet

        async def answers() -> bool:
            return (await world.provider.probe(made.name, HTTP)).ready

        await eventually(answers, f"{made.name} is reached at {made.address}")


@in_the_way
async def test_a_pool_that_an_interface_takes_has_no_room(world: DockerWorld, interface: Callable[[], str]) -> None:
    pool = _first_choice(world)
    info = ProviderInfo(id="small-pool", name="Docker", type="docker")
    provider = DockerProvider(
        info, Connection(world.url), owner=world.owner, secrets=PlainSecrets(), network_pool=str(pool)
    )
    with _interface(interface(), pool), pytest.raises(NoRoom, match=str(pool)) as refused:
        await provider.deploy(spec_of(world))
    await provider.aclose()
    assert "docker.network_pool" in refused.value.hint
    assert not await world.has_network()


async def test_the_interfaces_here_are_nothing_to_an_engine_elsewhere(world: DockerWorld) -> None:
    wanted = _first_choice(world)
    async with relay(world.url) as engine:
        elsewhere = world.connected(Connection(f"tcp://127.0.0.1:{engine.port}"))
        with _interface(_other_interface(), wanted):
            await elsewhere.deploy(spec_of(world))
            await elsewhere.check()
    assert _subnet(world) == wanted
    assert not elsewhere.info.capabilities.gateway


async def test_a_network_for_many(world: DockerWorld) -> None:
    await world.provider.deploy(spec_of(world, room=100))
    assert _subnet(world).prefixlen == 24
    await world.restarted().network(world.app, room=1000)
    assert _subnet(world).prefixlen == 24, "a network can't grow"


async def test_a_network_that_is_full_says_how_to_get_a_larger_one(world: DockerWorld) -> None:
    subnet = next(_first_choice(world).subnets(new_prefix=30))
    ipam = IPAMConfig(pool_configs=[IPAMPool(subnet=str(subnet), gateway=str(subnet[1]))])
    world.client.create_network(world.names.network(world.app), ipam=ipam, labels={OWNER: world.owner})
    await world.provider.deploy(spec_of(world))
    another = spec_of(world, component="api")
    with pytest.raises(NoRoom) as refused:
        await world.provider.deploy(another)
    assert "iarnet stop" in refused.value.hint
    assert not refused.value.retryable
    assert await world.provider.inspect(another.name) is None


async def test_an_instance_reaches_every_address_of_its_app(world: DockerWorld) -> None:
    """That of an empty network too, where no carrier is: the host takes what is for any address of its own."""
    networks = [await world.provider.network(world.app, slot) for slot in (0, 1, 2)]
    servers = [await asyncio.start_server(_greet, network.address, 0) for network in networks]
    made = await world.provider.deploy(spec_of(world))
    for network, server in zip(networks, servers, strict=True):
        async with server:
            said = await _said_at(world, made.name, network.address, server.sockets[0].getsockname()[1])
        assert said == made.address, f"from {network.subnet} to {network.address}"


async def test_an_address_that_was_removed_comes_back_as_it_was(world: DockerWorld) -> None:
    """An engine removes an empty network with all that nobody uses (`docker system prune`)."""
    made = await world.provider.deploy(spec_of(world))
    before = await world.provider.network(world.app, 1)
    await asyncio.to_thread(prune_networks, world.client, world.app)
    names = [n["Name"] for n in world.client.networks(names=[world.names.network(world.app)])]
    assert names == [world.names.network(world.app)], "that of the instances is in use"
    assert await world.restarted().network(world.app, 1) == before
    assert (await world.provider.inspect(made.name)) == made


async def test_the_node_keeps_the_addresses_of_what_is_served(world: DockerWorld, tmp_path: Path) -> None:
    store = await open_store(f"sqlite:///{tmp_path}/iarnet.db", lambda: datetime.now(UTC))
    await store.apps.create(world.app, GitSource(url="https://example.org/app"))
    provider = world.provider
    addresses = Addresses(provider, store.traffic)
    await provider.network(world.app)
    given = await provider.network(world.app, 1)
    where = {"app": world.app, "provider_id": provider.info.id, **dict(given)}
    served = Service(component="db", port=5432, protocol="tcp", slot=1, **where)
    await store.traffic.serve(world.app, provider.info.id, [served])

    further = world.names.network(world.app, 1)
    world.client.remove_network(further)
    await addresses.keep()
    (network,) = world.client.networks(names=[further])
    assert network["IPAM"]["Config"][0]["Gateway"] == given.address

    await provider.release(world.app, 1)
    await addresses.keep()
    assert not await world.has_network(), "what was released on purpose stays away"
    await store.aclose()


@pytest.mark.parametrize("slot", [0, 1])
async def test_processes_at_once_make_an_address_once(world: DockerWorld, slot: int) -> None:
    if slot:
        await world.provider.network(world.app)
    made = await asyncio.gather(*(world.restarted().network(world.app, slot) for _ in range(4)))
    assert len({network.address for network in made}) == 1
    named = world.client.networks(names=[world.names.network(world.app)])
    assert len(named) == slot + 1


@pytest.mark.parametrize("left", [False, True], ids=["free", "left"])
async def test_processes_at_once_make_one_network(world: DockerWorld, left: bool) -> None:
    """The bridge that one of them makes is seen by the others before its network is."""
    wanted = _first_choice(world)
    with _interface(_left_bridge(), wanted) if left else nullcontext():
        components = ("web", "api", "db", "cache")
        made = await asyncio.gather(*(world.restarted().deploy(spec_of(world, c)) for c in components))
    subnet = _subnet(world)
    assert (subnet == wanted) is not left
    assert all(ip_address(each.address or "") in subnet for each in made)


async def test_the_address_of_a_network_is_this_machines(world: DockerWorld) -> None:
    network = await world.provider.network(world.app)
    assert IPv4Network(network.subnet) == _subnet(world)
    addresses = {address.address for found in psutil.net_if_addrs().values() for address in found}
    assert network.address in addresses
    listening = await asyncio.start_server(lambda _, writer: writer.close(), network.address, 0)
    port = listening.sockets[0].getsockname()[1]
    made = await world.provider.deploy(spec_of(world, hosts={"api": 0}))
    async with listening:
        run = world.client.exec_create(made.id, ["nc", "-w", "5", "api", str(port)])
        await asyncio.to_thread(world.client.exec_start, run["Id"])
    assert world.client.exec_inspect(run["Id"])["ExitCode"] == 0


async def _greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """With the address of who connects."""
    writer.write(writer.get_extra_info("peername")[0].encode())
    writer.close()


async def _said_at(world: DockerWorld, name: str, address: str, port: int) -> str:
    """What an instance hears there."""
    run = world.client.exec_create(world.names.container(name), ["nc", "-w", "5", address, str(port)])
    heard: bytes = await asyncio.to_thread(world.client.exec_start, run["Id"])
    return heard.decode()


def _first_choice(world: DockerWorld) -> IPv4Network:
    """The subnet that the app would get if the machine had no interfaces but the engine's."""
    configs = [pool for n in world.client.networks() for pool in n["IPAM"]["Config"] or ()]
    taken = [IPv4Network(pool["Subnet"]) for pool in configs if "." in pool.get("Subnet", "")]
    return next(candidates(POOL, world.names.network(world.app), taken))


def _subnet(world: DockerWorld) -> IPv4Network:
    """That of the app's network, of which there is exactly one."""
    name = world.names.network(world.app)
    (network,) = [n for n in world.client.networks(names=[name]) if n["Name"] == name]
    (pool,) = network["IPAM"]["Config"]
    return IPv4Network(pool["Subnet"])


@contextmanager
def _interface(name: str, subnet: IPv4Network) -> Iterator[None]:
    _ip("link", "add", "name", name, "type", "bridge")
    try:
        _ip("link", "set", "dev", name, "alias", f"{_ALIAS}{os.getpid()}")
        _ip("address", "add", f"{subnet[1]}/{subnet.prefixlen}", "dev", name)
        _ip("link", "set", "dev", name, "up")
        yield
    finally:
        _ip("link", "del", "dev", name)


def _remove_forgotten() -> None:
    """What a run has left that was killed: interfaces of tests whose process has ended."""
    for link in json.loads(_ip("-json", "link", "show", "type", "bridge") or "[]"):
        alias = link.get("ifalias", "")
        if alias.startswith(_ALIAS) and not psutil.pid_exists(int(alias.removeprefix(_ALIAS))):
            _ip("link", "del", "dev", link["ifname"])


def _ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout
