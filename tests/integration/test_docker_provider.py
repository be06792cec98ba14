"""What only Docker has: hardening, limits, networks, volumes with data, and engines elsewhere."""

import asyncio
import io
import tarfile
from collections.abc import AsyncIterator
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import docker
import pytest

from iarnet.errors import (
    AlreadyExists,
    Conflict,
    ImageUnavailable,
    InstanceFailed,
    InvalidInput,
    NoRoom,
    NotFound,
    ProviderRefused,
    ProviderUnavailable,
    SpecMismatch,
)
from iarnet.models.component import EnvVar, HealthCheck, Volume
from iarnet.models.instance import InstanceSpec, Listener, LogQuery, PortBinding
from iarnet.models.provider import ProviderInfo, ProviderRegistration
from iarnet.models.resources import MIB, Resources
from iarnet.providers.base import Provider
from iarnet.providers.docker.companion import Base
from iarnet.providers.docker.connection import Connection
from iarnet.providers.docker.images import Images
from iarnet.providers.docker.provider import DockerProvider
from iarnet.providers.docker.spec import OWNER
from iarnet.providers.registry import LOCAL, DockerOptions, ProviderRegistry
from tests.contract.docker_engine import IMAGE
from tests.contract.provider_worlds import (
    PORT,
    WITHIN_S,
    DockerWorld,
    PlainSecrets,
    docker_world,
    eventually,
    spec_of,
)
from tests.integration.remote_engine import Authority, mutual_tls, relay, ssh_host

pytestmark = pytest.mark.docker

HTTP = HealthCheck(type="http", port=PORT, timeout_s=WITHIN_S)
TCP = HealthCheck(type="tcp", port=PORT, timeout_s=WITHIN_S)


class MissingSecrets(PlainSecrets):
    async def get(self, name: str) -> str:
        raise NotFound(f"There is no secret {name}", hint="set it again")


@pytest.fixture
async def world() -> AsyncIterator[DockerWorld]:
    async with docker_world() as made:
        yield made


@pytest.fixture
async def registry(world: DockerWorld) -> AsyncIterator[ProviderRegistry]:
    made = ProviderRegistry(node="here", owner=world.owner, secrets=PlainSecrets())
    yield made
    await made.aclose()


# Refusals.


async def test_a_program_that_is_not_in_the_image(world: DockerWorld) -> None:
    made = await world.provider.deploy(spec_of(world, command=("no-such-program",)))
    await _until_ended(world, made.name)
    ended = await world.provider.inspect(made.name)
    assert (ended.exit_code, ended.message) == (127, "a program was not found in the image")
    assert "was not found" in (await world.provider.probe(made.name, TCP)).detail
    assert "no-such-program" in await _output(world.provider, made.name)


async def test_a_container_that_cannot_be_started(world: DockerWorld) -> None:
    with pytest.raises(InstanceFailed, match="no-such-user") as failed:
        await world.provider.deploy(spec_of(world, user="no-such-user"))
    assert failed.value.component == "web"
    assert failed.value.hint
    assert await world.provider.instances(world.owner) == []


async def test_a_limit_that_the_engine_refuses(world: DockerWorld) -> None:
    with pytest.raises(ProviderRefused, match=r"(?i)memory"):
        await world.provider.deploy(spec_of(world, resources=Resources(memory_bytes=1 * MIB)))
    assert await world.provider.instances(world.owner) == []


async def test_a_secret_that_is_gone(world: DockerWorld) -> None:
    info = ProviderInfo(id="no-secrets", name="Docker", type="docker")
    provider = DockerProvider(info, Connection(world.url), owner=world.owner, secrets=MissingSecrets())
    with pytest.raises(NotFound, match="app/password"):
        await provider.deploy(spec_of(world, env=(EnvVar(name="PASSWORD", secret="app/password"),)))
    assert await provider.instances(world.owner) == []
    await provider.aclose()


async def test_a_foreign_network_or_volume_is_not_used(world: DockerWorld) -> None:
    spec = spec_of(world, volumes=(Volume(name="data", path="/data"),))
    name = world.names.volume(world.app, "web", "data")
    foreign = world.client.create_volume(name)
    try:
        with pytest.raises(SpecMismatch, match=name):
            await world.provider.deploy(spec)
        with pytest.raises(SpecMismatch, match=name):
            await world.provider.release(world.app, 1, ("web/data",))
    finally:
        world.client.remove_volume(foreign["Name"])
    network = world.client.create_network(world.names.network(world.app))
    try:
        with pytest.raises(SpecMismatch, match=world.names.network(world.app)):
            await world.provider.deploy(spec)
        with pytest.raises(SpecMismatch, match=world.names.network(world.app)):
            await world.provider.release(world.app, 1)
    finally:
        world.client.remove_network(network["Id"])


async def test_what_is_in_use_is_not_released(world: DockerWorld) -> None:
    made = await world.provider.deploy(spec_of(world, volumes=(Volume(name="data", path="/data"),)))
    with pytest.raises(Conflict, match="in use"):
        await world.provider.release(world.app, 1)
    await world.end(made.name, 0)
    with pytest.raises(Conflict, match="in use"):
        await world.provider.release(world.app, 1, ("web/data",))


async def test_where_an_image_without_programs_listens_is_seen_from_here(world: DockerWorld) -> None:
    """And what only the instance itself gets to, such as the engine's own resolver, is told apart."""
    serve = "rm /bin/cat; httpd -p 127.0.0.1:9000 -h /tmp; exec httpd -f -p 8080 -h /tmp"
    made = await world.provider.deploy(spec_of(world, command=("sh", "-c", serve)))

    async def seen() -> bool:
        found = await world.provider.listening(made.name) or ()
        outside = [each for each in found if not each.loopback]
        return outside == [Listener(port=8080)] and Listener(port=9000, loopback=True) in found

    await eventually(seen, "both are seen")
    without = await world.provider.probe(made.name, HealthCheck(type="command", command=("cat",)))
    assert "exit code 127" in without.detail or "not found" in without.detail


async def test_a_used_up_pool(world: DockerWorld) -> None:
    world.client.create_network("filler", ipam=_ipam("10.213.0.0/26"), labels={OWNER: world.owner})
    full = _provider(world, network_pool="10.213.0.0/26")
    with pytest.raises(NoRoom, match=r"10\.213\.0\.0/26"):
        await full.deploy(spec_of(world))
    next_one = _provider(world, network_pool="10.213.0.0/25")
    made = await next_one.deploy(spec_of(world))
    assert ip_address(made.address or "") in ip_network("10.213.0.64/26")
    await full.aclose()
    await next_one.aclose()


async def test_a_pull_has_a_deadline(world: DockerWorld) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    registry = await asyncio.start_server(silent, "127.0.0.1", 0)
    image = f"127.0.0.1:{registry.sockets[0].getsockname()[1]}/slow:1"
    images = Images(world.restarted()._engine, pull_s=0.5)
    with pytest.raises(ImageUnavailable, match="did not end within"):
        await images.ensure(image, None)
    registry.close()


# Isolation and limits.


async def test_instances_are_hardened(world: DockerWorld) -> None:
    made = await world.provider.deploy(
        spec_of(
            world,
            user="1000:1000",
            capabilities=("CHOWN",),
            working_dir="/tmp",
            command=_printing("/proc/self/status"),
        )
    )
    status = await _output(world.provider, made.name)
    assert "NoNewPrivs:\t1" in status
    assert "CapBnd:\t0000000000000001" in status
    assert "CapEff:\t0000000000000000" in status
    host = world.client.inspect_container(made.id)["HostConfig"]
    assert (host["CapDrop"], host["CapAdd"]) == (["ALL"], ["CHOWN"])
    assert (host["Memory"], host["MemorySwap"]) == (64 * MIB, 64 * MIB)
    assert (host["CpuShares"], host["NanoCpus"]) == (512, 1_000_000_000)
    assert (host["PidsLimit"], host["Init"], host["Privileged"]) == (512, True, False)
    assert (host["PidMode"], host["UTSMode"], host["Binds"]) == ("", "", None)
    assert host["RestartPolicy"]["Name"] == "no"
    assert host["LogConfig"]["Config"] == {"max-size": "10m", "max-file": "3"}


async def test_too_much_memory_is_told_as_such(world: DockerWorld) -> None:
    events = world.provider.events(world.owner)
    heard = asyncio.create_task(_kinds_until_death(events))
    made = await world.provider.deploy(
        spec_of(world, resources=Resources(memory_bytes=16 * MIB), command=("sh", "-c", "sleep 1; tail /dev/zero"))
    )

    async def ended() -> bool:
        return (await world.provider.inspect(made.name)).state == "exited"

    await eventually(ended, "the kernel ends it")
    inspected = await world.provider.inspect(made.name)
    assert (inspected.killed, inspected.exit_code) == (True, 137)
    assert "memory" in (await world.provider.probe(made.name, TCP)).detail
    # The engine may tell of the end before it tells why.
    assert (await asyncio.wait_for(heard, WITHIN_S))[-1] == "died"


async def test_neighbours_find_each_other_by_name_and_strangers_do_not(world: DockerWorld) -> None:
    server = await world.provider.deploy(spec_of(world, "web", aliases=("web", "shop-web")))
    stranger = await world.provider.deploy(spec_of(world, "api", name="iarnet-other-api-r1-0", app=f"{world.app}-2"))
    neighbour = await world.provider.deploy(spec_of(world, "api"))
    await _until(world.provider, server.name, HTTP)
    for name in ("web", "shop-web"):
        found = await world.provider.probe(neighbour.name, _connecting(name))
        assert found.ready, found.detail
    by_address = _connecting(server.address)
    assert (await world.provider.probe(neighbour.name, by_address)).ready
    assert not (await world.provider.probe(stranger.name, by_address)).ready
    assert not (await world.provider.probe(stranger.name, _connecting("web"))).ready


async def test_secrets_reach_the_program_and_nothing_else(world: DockerWorld) -> None:
    env = (
        EnvVar(name="DATABASE_URL", value="postgres://app:{secret}@db", secret="password"),
        EnvVar(name="UNSET"),
        EnvVar(name="MODE", value="a=b c"),
    )
    made = await world.provider.deploy(spec_of(world, env=env, command=("env",)))
    output = await _output(world.provider, made.name)
    assert "DATABASE_URL=postgres://app:drowssap@db\n" in output
    assert "MODE=a=b c\n" in output
    assert "UNSET" not in output
    assert "drowssap" not in made.model_dump_json()
    assert "drowssap" not in str(world.client.inspect_container(made.id)["Config"]["Labels"])


async def test_data_survives_its_instances(world: DockerWorld) -> None:
    volumes = (Volume(name="data", path="/data"),)
    write = spec_of(world, volumes=volumes, command=("sh", "-c", "echo kept > /data/file"))
    await _finished(world, write)
    await world.provider.remove(write.name, 1)
    read = (Volume(name="data", path="/data", read_only=True),)
    again = spec_of(
        world, volumes=read, command=("sh", "-c", "exec 2>&-; cat /data/file; echo x > /data/file || echo refused")
    )
    assert await _finished(world, again) == "kept\nrefused\n"


async def test_a_stopped_instance_whose_network_was_removed_is_made_again(world: DockerWorld) -> None:
    first = await world.provider.deploy(spec_of(world))
    await world.end(first.name, 0)
    world.client.remove_network(world.names.network(world.app))
    again = await world.provider.deploy(spec_of(world))
    assert again.state == "running"
    assert again.id != first.id


async def test_one_that_never_ran_and_cannot_be_started_is_made_again(world: DockerWorld, tmp_path: Path) -> None:
    """As an engine leaves it that died about to start it."""
    first = await world.provider.deploy(spec_of(world))
    found = world.client.inspect_container(first.id)
    world.client.remove_container(first.id, force=True)
    (missing := tmp_path / "missing").mkdir()
    mounts = [{"Type": "bind", "Source": str(missing), "Target": "/missing"}]
    body = found["Config"] | {"HostConfig": found["HostConfig"] | {"Mounts": mounts}}
    left = world.client.create_container_from_config(body, name=found["Name"].lstrip("/"))["Id"]
    missing.rmdir()
    again = await world.provider.deploy(spec_of(world))
    assert again.state == "running"
    assert again.id not in (first.id, left)


async def test_a_published_port_answers_on_the_host(world: DockerWorld) -> None:
    port = await world.free_port()
    provider = _provider(world, publish_address="127.0.0.1")
    made = await provider.deploy(spec_of(world, ports=(PortBinding(port=PORT, host_port=port),)))
    await _until(provider, made.name, HTTP)
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()
    host = world.client.inspect_container(made.id)["HostConfig"]
    assert host["PortBindings"] == {f"{PORT}/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}
    assert not await provider.host_port_free(port)
    await provider.remove(made.name, 1)
    assert await provider.host_port_free(port)
    await provider.aclose()


async def test_what_does_not_end_by_itself_is_killed(world: DockerWorld) -> None:
    made = await world.provider.deploy(
        spec_of(world, command=("sh", "-c", "trap '' TERM; while :; do sleep 1; done"))
    )
    await world.provider.remove(made.name, 1)
    assert await world.provider.inspect(made.name) is None


# Probes and logs.


async def test_what_a_status_means(world: DockerWorld) -> None:
    made = await world.provider.deploy(spec_of(world))
    await _until(world.provider, made.name, TCP)
    guessed = await world.provider.probe(made.name, HTTP)
    assert (guessed.ready, guessed.detail.endswith("/: status 404")) == (True, True)
    asked = await world.provider.probe(made.name, HTTP.model_copy(update={"path": "/health"}))
    assert (asked.ready, asked.detail.endswith("/health: status 404")) == (False, True)
    by_spec = await world.provider.probe(made.name, HealthCheck(type="tcp"))
    assert by_spec.ready


async def test_what_a_probe_says_when_it_fails(world: DockerWorld) -> None:
    made = await world.provider.deploy(spec_of(world, ports=()))
    refused = await world.provider.probe(made.name, HealthCheck(type="tcp", port=9))
    assert (refused.ready, "refused" in refused.detail.lower()) == (False, True)
    assert "names no port" in (await world.provider.probe(made.name, HealthCheck(type="tcp"))).detail
    failed = await world.provider.probe(made.name, _command("sh", "-c", "echo not yet; exit 7"))
    assert (failed.ready, failed.detail) == (False, "sh -c echo not yet; exit 7: exit code 7: not yet")
    hanging = HealthCheck(type="command", command=("sleep", "60"), timeout_s=0.2)
    assert "no end within 0.2 s" in (await world.provider.probe(made.name, hanging)).detail
    missing = await world.provider.probe(made.name, _command("no-such-program"))
    assert not missing.ready


async def test_a_long_line_stays_one_line(world: DockerWorld) -> None:
    program = "head -c 40000 /dev/zero | tr '\\0' x; echo end; echo; printf open"
    made = await world.provider.deploy(spec_of(world, command=("sh", "-c", program)))
    await _until_ended(world, made.name)
    lines = [line.text async for line in world.provider.logs(made.name, LogQuery())]
    assert lines == ["x" * 40_000 + "end", "", "open"]


# Engines elsewhere.


async def test_an_engine_behind_tls(world: DockerWorld, registry: ProviderRegistry, tmp_path: Path) -> None:
    authority = Authority()
    async with relay(world.url, mutual_tls(authority, tmp_path)) as engine:
        provider = await registry.register(_tls(authority, authority, engine.port))
        health = await provider.check()
        assert (health.reachable, health.problem) == (True, "")
        assert provider.info.host == "127.0.0.1"
        await _everything_works(world, provider)


async def test_certificates_of_another_authority(
    world: DockerWorld, registry: ProviderRegistry, tmp_path: Path
) -> None:
    engines, other = Authority(), Authority()
    async with relay(world.url, mutual_tls(engines, tmp_path)) as engine:
        not_trusted_by_us = await registry.try_out(_tls(other, engines, engine.port))
        assert not not_trusted_by_us.reachable
        assert "certificate" in not_trusted_by_us.hint
        not_trusted_by_engine = await registry.try_out(_tls(engines, other, engine.port))
        assert not not_trusted_by_engine.reachable
        assert not_trusted_by_engine.hint
    assert registry.all() == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"config": {}}, "config.ca_cert"),
        ({"secrets": {}}, "secrets.client_key"),
        ({"url": "http://127.0.0.1:2375"}, "no address"),
        ({"url": "tcp:///nowhere"}, "no address"),
        ({"url": "ssh://-oProxyCommand=x"}, "no address"),
        ({"type": "kubernetes"}, "kubernetes"),
    ],
)
async def test_registrations_that_are_refused(
    registry: ProviderRegistry, changes: dict[str, Any], words: str
) -> None:
    authority = Authority()
    given = _tls(authority, authority, 2376).model_copy(update=changes)
    with pytest.raises(InvalidInput, match=words) as refused:
        await registry.register(given)
    assert refused.value.hint
    assert registry.all() == []


async def test_an_engine_that_stops_and_comes_back(world: DockerWorld, registry: ProviderRegistry) -> None:
    async with relay(world.url) as engine:
        provider = await registry.register(_plain(engine.port))
        made = await provider.deploy(spec_of(world))
        events = provider.events(world.owner)
        listening = asyncio.ensure_future(anext(events))
        following = asyncio.ensure_future(_all(provider, made.name))
        await world.say(made.name, "before")
        await eventually(lambda: _has_lines(provider, made.name), "a line")
        await engine.cut()
        with pytest.raises(ProviderUnavailable):
            await asyncio.wait_for(listening, WITHIN_S)
        await asyncio.wait_for(following, WITHIN_S)
        with pytest.raises(ProviderUnavailable) as gone:
            await provider.deploy(spec_of(world))
        assert gone.value.hint
        assert not (await provider.check()).reachable
        await engine.up()
        assert (await provider.deploy(spec_of(world))).id == made.id


async def test_an_engine_behind_ssh(world: DockerWorld, registry: ProviderRegistry, tmp_path: Path) -> None:
    async with ssh_host(world.url, tmp_path) as host:
        given = _ssh(host.url, host.known_hosts)
        registry = _with_secret(world, host.key)
        provider = await registry.register(given)
        health = await provider.check()
        assert (health.reachable, health.problem) == (True, "")
        await _everything_works(world, provider)
        scratch = await _scratch_server(world, provider)
        await _until(provider, scratch, HTTP)
        await _until(provider, scratch, TCP)
        closed = await provider.probe(scratch, HealthCheck(type="tcp", port=9))
        assert not closed.ready
        await registry.aclose()


async def test_what_ssh_refuses(world: DockerWorld, tmp_path: Path) -> None:
    async with ssh_host(world.url, tmp_path) as host:
        registry = _with_secret(world, host.key)
        unknown_host = await registry.try_out(_ssh(host.url, "elsewhere ssh-ed25519 AAAA"))
        assert not unknown_host.reachable
        assert "known_hosts" in unknown_host.hint
        wrong_path = await registry.try_out(_ssh(host.url + ".missing", host.known_hosts))
        assert not wrong_path.reachable
        assert wrong_path.hint
        wrong_key = await _with_secret(world, "no key").try_out(_ssh(host.url, host.known_hosts))
        assert not wrong_key.reachable
        assert "authorized_keys" in wrong_key.hint


async def test_a_port_that_cannot_be_looked_at(world: DockerWorld, registry: ProviderRegistry) -> None:
    """A remote engine, an unpublished port, and an image with nothing but its program."""
    async with relay(world.url) as engine:
        provider = await registry.register(_plain(engine.port))
        name = await _scratch_server(world, provider)
        probed = await provider.probe(name, HTTP)
        assert not probed.ready
        assert "can't be checked" in probed.detail


async def test_a_port_is_looked_at_from_beside_it(world: DockerWorld) -> None:
    """The same with a companion there, which also asks."""
    registry = ProviderRegistry(
        node="here",
        owner=world.owner,
        secrets=PlainSecrets(),
        docker=DockerOptions(companion=Base("debian:bookworm-slim")),
    )
    async with relay(world.url) as engine:
        provider = await registry.register(_plain(engine.port))
        assert isinstance(provider, DockerProvider)
        assert provider.companion
        await provider.companion.ensure("debian:bookworm-slim", ("sleep", "1000000"), replace=False)
        assert await provider.instances(world.owner) == []
        name = await _scratch_server(world, provider)
        await _until(provider, name, TCP)
        await _until(provider, name, HTTP)
        assert "status" in (await provider.probe(name, HTTP)).detail
        refused = await provider.probe(name, HealthCheck(type="tcp", port=9))
        assert (refused.ready, "refused" in refused.detail) == (False, True)
        assert [each.name for each in await provider.instances(world.owner)] == [name]
        assert [each.instance for each in await provider.usage(world.owner)] == [name]
        await registry.aclose()


# The registry.


async def test_the_local_engine_is_found(world: DockerWorld, registry: ProviderRegistry) -> None:
    assert await registry.find_docker(["unix:///nonexistent.sock"]) is None
    assert registry.all() == []
    found = await registry.find_docker(["unix:///nonexistent.sock", world.url])
    assert found is registry.get(LOCAL)
    assert (found.info.id, found.info.home, found.info.origin) == (LOCAL, "here", "internal")
    assert found.info.architecture in ("amd64", "arm64")
    assert await registry.find_docker(["unix:///nonexistent.sock"]) is found


async def test_registering_twice_and_forgetting(registry: ProviderRegistry) -> None:
    given = _plain(1)
    await registry.register(given)
    with pytest.raises(AlreadyExists, match=given.id):
        await registry.register(given)
    await registry.forget(given.id)
    await registry.forget(given.id)
    with pytest.raises(NotFound, match=given.id):
        registry.get(given.id)


async def _everything_works(world: DockerWorld, provider: Provider) -> None:
    """On an engine elsewhere: an image carried there, deploy, probe, logs, events, usage, capacity, remove."""
    image, source = await world.image_elsewhere()
    await provider.ensure_image(image, source)
    heard = asyncio.create_task(_kinds_until_death(provider.events(world.owner)))
    port = await world.free_port()
    inside = await provider.deploy(spec_of(world, image=image))
    published = await provider.deploy(spec_of(world, "api", ports=(PortBinding(port=PORT, host_port=port),)))
    for name in (inside.name, published.name):
        await _until(provider, name, HTTP)
        await _until(provider, name, TCP)
    assert not (await provider.probe(inside.name, HealthCheck(type="tcp", port=9))).ready
    assert (await provider.probe(inside.name, _command("true"))).ready
    assert not await provider.host_port_free(port)
    await world.say(inside.name, "hello")
    await eventually(lambda: _has_lines(provider, inside.name), "a line")
    assert len(await provider.usage(world.owner)) == 2
    capacity = await provider.capacity()
    assert capacity.used.memory_bytes > 0
    assert capacity.total == capacity.used + capacity.available
    for name in (inside.name, published.name):
        await provider.remove(name, 1)
    assert "died" in await asyncio.wait_for(heard, WITHIN_S)
    await provider.release(world.app, 1)
    assert not await world.has_network()


async def _scratch_server(world: DockerWorld, provider: Provider) -> str:
    """An instance of an image that has one program and no other file."""
    image = f"iarnet-test/{world.app}-scratch:1"
    world._tags.append(image)
    await asyncio.to_thread(_import_scratch, world.client, image)
    serve = ("/busybox", "httpd", "-f", "-p", str(PORT))
    return (await provider.deploy(spec_of(world, "scratch", image=image, command=serve))).name


def _import_scratch(client: docker.APIClient, image: str) -> None:
    made = client.create_container(IMAGE)
    chunks, _ = client.get_archive(made["Id"], "/bin/busybox")
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
        client.remove_container(made["Id"])
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as only:
            member = archive.getmembers()[0]
            only.addfile(member, archive.extractfile(member))
    name, _, tag = image.rpartition(":")
    client.import_image_from_data(packed.getvalue(), repository=name, tag=tag)


def _tls(trusted: Authority, ours: Authority, port: int) -> ProviderRegistration:
    certificate, key = ours.issue("node")
    return ProviderRegistration(
        id="engine-elsewhere",
        name="Engine elsewhere",
        type="docker",
        url=f"tcp://127.0.0.1:{port}",
        config={"ca_cert": trusted.pem, "client_cert": certificate},
        secrets={"client_key": key[::-1]},
    )


def _plain(port: int) -> ProviderRegistration:
    config = {"insecure": "true"}
    return ProviderRegistration(id="plain", name="Plain", type="docker", url=f"tcp://127.0.0.1:{port}", config=config)


def _ssh(url: str, known_hosts: str) -> ProviderRegistration:
    return ProviderRegistration(
        id="behind-ssh",
        name="Behind SSH",
        type="docker",
        url=url,
        config={"known_hosts": known_hosts},
        secrets={"ssh_key": "credentials/ssh"},
    )


def _with_secret(world: DockerWorld, value: str) -> ProviderRegistry:
    class OneSecret(PlainSecrets):
        async def get(self, name: str) -> str:
            return value

    return ProviderRegistry(node="here", owner=world.owner, secrets=OneSecret())


def _provider(world: DockerWorld, **options: Any) -> DockerProvider:
    info = ProviderInfo(id="docker-with-options", name="Docker", type="docker")
    return DockerProvider(info, Connection(world.url), owner=world.owner, secrets=PlainSecrets(), **options)


def _ipam(subnet: str) -> docker.types.IPAMConfig:
    return docker.types.IPAMConfig(pool_configs=[docker.types.IPAMPool(subnet=subnet)])


def _printing(path: str) -> tuple[str, ...]:
    return ("cat", path)


def _command(*words: str) -> HealthCheck:
    return HealthCheck(type="command", command=words, timeout_s=WITHIN_S)


def _connecting(host: str | None) -> HealthCheck:
    return _command("sh", "-c", f"echo | nc -w 1 {host} {PORT}")


async def _until(provider: Provider, name: str, check: HealthCheck) -> None:
    async def ready() -> bool:
        return (await provider.probe(name, check)).ready

    await eventually(ready, f"{name} answers a {check.type} check")


async def _until_ended(world: DockerWorld, name: str) -> None:
    async def ended() -> bool:
        return (await world.provider.inspect(name)).state == "exited"

    await eventually(ended, f"{name} ends")


async def _finished(world: DockerWorld, spec: InstanceSpec) -> str:
    made = await world.provider.deploy(spec)
    return await _output(world.provider, made.name)


async def _output(provider: Provider, name: str) -> str:
    """All of it, once the program has ended."""
    async with asyncio.timeout(WITHIN_S):
        return "".join(f"{line.text}\n" for line in await _all(provider, name))


async def _all(provider: Provider, name: str) -> list[Any]:
    return [line async for line in provider.logs(name, LogQuery(follow=True))]


async def _has_lines(provider: Provider, name: str) -> bool:
    return bool([line async for line in provider.logs(name, LogQuery())])


async def _kinds_until_death(events: Any) -> list[str]:
    kinds: list[str] = []
    async for event in events:
        kinds.append(event.kind)
        if event.kind == "died":
            return kinds
    raise AssertionError("the stream ended")
