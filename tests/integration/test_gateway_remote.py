"""An Envoy beside an engine elsewhere: everything passes through that engine's API, however we reach it."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import docker
import httpx
import pytest

from iarnet.errors import ImageUnavailable, SpecMismatch
from iarnet.gateway import process
from iarnet.gateway.admin import Admin
from iarnet.gateway.envoy import EnvoyGateway
from iarnet.gateway.names import Names
from iarnet.gateway.process import Envoy
from iarnet.gateway.remote import ACCESS_LOG, DIRECTORY, RemoteEnvoy
from iarnet.models.component import HealthCheck
from iarnet.models.provider import ProviderRegistration
from iarnet.providers.docker.channel import Channel
from iarnet.providers.docker.companion import Base, Companion
from iarnet.providers.docker.provider import DockerProvider
from iarnet.providers.registry import DockerOptions, ProviderRegistry
from iarnet.store.open import open_store
from tests.contract.docker_engine import engine_url, swept
from tests.contract.provider_worlds import PlainSecrets
from tests.integration.gateway_world import GatewayWorld, Load, ask, eventually
from tests.integration.remote_engine import Authority, mutual_tls, relay, ssh_host
from workers.remotes import BASE

pytestmark = pytest.mark.docker

Way = Callable[[str, Path], AbstractAsyncContextManager[Companion]]
SLEEP = ("sleep", "1000000")


class FarWorld(GatewayWorld):
    """Its Envoy is in the container."""

    def _gateway(self) -> EnvoyGateway:
        names = Names(self.store.domains, self.secrets, self.ads, self.names)
        return EnvoyGateway(
            self.store.traffic,
            "local",
            self.ads,
            Admin(self.where.admin),
            names,
            journal=None,
            access_log=ACCESS_LOG,
            publish_address="127.0.0.1",
        )


@pytest.fixture
def engine() -> Iterator[docker.APIClient]:
    with swept(engine_url(), f"test-{uuid.uuid4().hex[:8]}") as client:
        yield client


@pytest.fixture
async def owner() -> AsyncIterator[str]:
    made = f"test-{uuid.uuid4().hex[:8]}"
    with swept(engine_url(), made):
        yield made


@pytest.fixture
async def companion(owner: str, tmp_path: Path) -> AsyncIterator[Companion]:
    async with over_tls(owner, tmp_path) as made:
        yield made


@asynccontextmanager
async def over_tls(owner: str, directory: Path, base: Base = BASE, *, able: bool = True) -> AsyncIterator[Companion]:
    authority = Authority()
    certificate, key = authority.issue("node")
    async with relay(engine_url(), mutual_tls(authority, directory)) as engine:
        config = {"ca_cert": authority.pem, "client_cert": certificate}
        url = f"tcp://127.0.0.1:{engine.port}"
        async with registered(owner, url, config, {"client_key": key[::-1]}, base, able=able) as made:
            yield made


@asynccontextmanager
async def over_ssh(owner: str, directory: Path) -> AsyncIterator[Companion]:
    async with ssh_host(engine_url(), directory) as host:
        config, secrets = {"known_hosts": host.known_hosts}, {"ssh_key": host.key[::-1]}
        async with registered(owner, host.url, config, secrets) as made:
            yield made


@asynccontextmanager
async def registered(
    owner: str,
    url: str,
    config: dict[str, str],
    secrets: dict[str, str],
    base: Base = BASE,
    *,
    able: bool = True,
) -> AsyncIterator[Companion]:
    registry = ProviderRegistry(
        node="here", owner=owner, secrets=PlainSecrets(), docker=DockerOptions(companion=base)
    )
    given = ProviderRegistration(id="far", name="Far", type="docker", url=url, config=config, secrets=secrets)
    provider = await registry.register(given)
    assert isinstance(provider, DockerProvider)
    assert provider.companion
    health = await provider.check()
    assert health.reachable, health
    assert provider.info.capabilities.gateway == able
    yield provider.companion
    await registry.aclose()


@asynccontextmanager
async def far_world(companion: Companion, folder: Path) -> AsyncIterator[FarWorld]:
    """A node that drives it."""
    async with AsyncExitStack() as stack:
        where = process.place(folder / "gateway")
        image = await companion.image(Path(process.program()))
        envoy = RemoteEnvoy(companion, image, where, concurrency=1)
        await envoy.start(replace=True)
        stack.push_async_callback(envoy.aclose)
        store = await open_store(f"sqlite:///{folder}/iarnet.db", lambda: datetime.now(UTC))
        world = FarWorld(store, where, Envoy(0, 0))
        stack.push_async_callback(world.close)
        await world.start()
        stack.callback(asyncio.create_task(envoy.drive()).cancel)
        yield world


@pytest.mark.parametrize("way", [over_tls, over_ssh])
async def test_it_leads_as_one_beside_us(way: Way, owner: str, tmp_path: Path) -> None:
    (tmp_path / "way").mkdir()
    async with way(owner, tmp_path / "way") as companion, far_world(companion, tmp_path) as world:
        await world.serve(world.service(health=HealthCheck(type="http", path="/", interval_s=1)))
        old = await world.replica(0)
        assert await ask(world.url) == old.name
        async with Load(world.url) as load:
            await load.more()
            new = await world.replica(1)
            await world.gateway.drain(old.name, within_s=5)
            await old.stop()
            await load.more()
        assert load.failed == []
        assert set(load.answers) == {old.name, new.name}
        assert (await world.loads())[new.name].requests_total > 0
        assert await world.gateway.checks() == {new.name: True}
        await new.stop()
        await eventually(lambda: _is_silent(world, new.name))


async def _is_silent(world: FarWorld, instance: str) -> bool:
    return not (await world.gateway.checks())[instance]


async def test_one_that_was_removed_comes_back(companion: Companion, tmp_path: Path) -> None:
    async with far_world(companion, tmp_path) as world:
        await world.serve()
        replica = await world.replica()
        await companion.remove()

        async def answers() -> bool:
            try:
                return await ask(world.url) == replica.name
            except httpx.HTTPError:
                return False

        await eventually(answers)


async def test_it_is_replaced_only_when_it_may_be(companion: Companion, owner: str, engine: docker.APIClient) -> None:
    def id() -> str:
        (found,) = engine.containers(filters={"label": f"iarnet.owner={owner}"})
        return str(found["Id"])

    assert await companion.ensure(BASE.image, SLEEP, replace=False)
    first = id()
    assert await companion.ensure(BASE.image, SLEEP, replace=True)
    assert not await companion.ensure(BASE.image, ("sleep", "2000000"), replace=False)
    assert id() == first
    assert await companion.ensure(BASE.image, ("sleep", "2000000"), replace=True)
    assert id() != first
    await companion.remove()
    await companion.remove()
    assert engine.containers(all=True, filters={"label": f"iarnet.owner={owner}"}) == []


async def test_an_image_of_its_own_is_taken_as_it_is(
    companion: Companion, owner: str, tmp_path: Path, engine: docker.APIClient
) -> None:
    image = await companion.image(Path(process.program()))
    assert await companion.image(Path(process.program())) == image
    async with over_tls(owner, tmp_path, Base(image, whole=True)) as made:
        assert await made.image(tmp_path / "there is none") == image
    async with over_tls(owner, tmp_path, Base("iarnet-test/missing:1"), able=False) as made:
        with pytest.raises(ImageUnavailable, match="missing"):
            await made.image(Path(process.program()))


async def test_what_is_not_ours_is_left_alone(companion: Companion, owner: str, engine: docker.APIClient) -> None:
    foreign = engine.create_container(BASE.image, name=f"iarnet-gateway.{owner}.far")
    try:
        with pytest.raises(SpecMismatch, match="did not make"):
            await companion.ensure(BASE.image, SLEEP, replace=True)
        with pytest.raises(SpecMismatch, match="did not make"):
            await companion.remove()
    finally:
        engine.remove_container(foreign["Id"])


async def test_who_listens_later_takes_over(companion: Companion) -> None:
    """As the next node does from one that has lost its connection and doesn't know it."""
    await companion.ensure(BASE.image, SLEEP, replace=False)
    path = f"{DIRECTORY}/some.sock"
    first = await companion.listen(path)
    caller = await _connected(companion, path)
    await caller.write(b"one")
    assert await first.read() == b"one"
    second = await companion.listen(path)
    assert await first.read() == b""
    assert await caller.read() == b""
    caller = await _connected(companion, path)
    await caller.write(b"two")
    assert await second.read() == b"two"
    second.close()
    assert await caller.read() == b"", "it sees the end of the other side"


async def _connected(companion: Companion, path: str) -> Channel:
    """As soon as somebody listens there."""
    async with asyncio.timeout(10):
        while True:
            with suppress(ConnectionError):
                return await companion.connect(path)


async def test_much_passes_unharmed_in_both_directions(companion: Companion) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.close()

    await companion.ensure(BASE.image, SLEEP, replace=False)
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    channel = await companion.connect(f"127.0.0.1:{port}")
    sent = bytes(range(256)) * 40_000
    writing = asyncio.create_task(channel.write(sent))
    received = b""
    while len(received) < len(sent):
        received += (data := await channel.read())
        assert data, "it ends too early"
    assert received == sent
    await writing
    channel.close()
    server.close()
    with pytest.raises(ConnectionError, match="refused"):
        await companion.connect(f"127.0.0.1:{port}")
