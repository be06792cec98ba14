"""What every provider promises (`iarnet/providers/base.py`), whatever runs the instances."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from iarnet.errors import (
    Conflict,
    ImageUnavailable,
    NotFound,
    PortTaken,
    ProviderRefused,
    ProviderUnavailable,
    SpecMismatch,
    StaleEpoch,
)
from iarnet.models.component import HealthCheck, Volume
from iarnet.models.instance import InstanceSpec, Listener, LogLine, LogQuery, PortBinding
from iarnet.models.provider import ProviderEvent
from iarnet.models.reconciliation import Belonging
from iarnet.models.resources import Resources
from iarnet.providers.base import Provider
from tests.contract.docker_engine import engine_url
from tests.contract.provider_worlds import (
    PORT,
    WITHIN_S,
    MemoryWorld,
    World,
    docker_world,
    eventually,
    spec_of,
)
from tests.contract.reaches import Reach, reach
from tests.depth import DEEP

HTTP = HealthCheck(type="http", port=PORT, timeout_s=WITHIN_S)
MISSING_IMAGE = "iarnet.invalid/missing:1"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test in memory and on Docker, by all ways to it where it is marked so or the run is deep."""
    if "world" not in metafunc.fixturenames:
        return
    everywhere = DEEP or metafunc.definition.get_closest_marker("elsewhere")
    marks = [pytest.mark.docker]
    worlds: list[Any] = ["memory", pytest.param("docker", marks=marks)]
    if everywhere:
        worlds += [pytest.param(way, marks=[*marks, pytest.mark.search]) for way in ("tls", "ssh")]
    metafunc.parametrize("world", worlds, indirect=True)


@pytest.fixture(scope="module")
async def reaches() -> AsyncIterator[Callable[[str], Awaitable[Reach]]]:
    """One server for each way that is asked for."""
    opened: dict[str, Reach] = {}
    async with AsyncExitStack() as stack:

        async def by(way: str) -> Reach:
            if way not in opened:
                directory = Path(stack.enter_context(TemporaryDirectory(prefix="reach-")))
                opened[way] = await stack.enter_async_context(reach(way, engine_url(), directory))
            return opened[way]

        yield by


@pytest.fixture
async def world(request: pytest.FixtureRequest, reaches: Callable[[str], Awaitable[Reach]]) -> AsyncIterator[World]:
    if request.param == "memory":
        yield MemoryWorld("test", "shop")
        return
    async with docker_world(await reaches(request.param)) as made:
        yield made


# What must not happen.


async def test_a_foreign_object_of_the_name_is_never_touched(world: World) -> None:
    spec = spec_of(world)
    await world.make_foreign(spec.name)
    with pytest.raises(SpecMismatch, match=spec.name) as refused:
        await world.provider.deploy(spec)
    assert refused.value.hint
    with pytest.raises(SpecMismatch, match=spec.name):
        await world.provider.remove(spec.name, 1)
    assert await world.foreign_exists(spec.name)
    assert await world.provider.inspect(spec.name) is None


async def test_an_instance_with_another_spec_is_refused_and_left(world: World) -> None:
    first = await world.provider.deploy(spec_of(world))
    with pytest.raises(SpecMismatch, match="another specification"):
        await world.provider.deploy(spec_of(world, resources=Resources(cpu_millis=100, memory_bytes=32 << 20)))
    assert await world.provider.inspect(first.name) == first


async def test_an_older_epoch_is_refused_everywhere(world: World) -> None:
    await world.provider.deploy(spec_of(world, epoch=5))
    older = spec_of(world, "api", epoch=4)
    for provider in (world.provider, world.restarted()):
        with pytest.raises(StaleEpoch, match="epoch 5"):
            await provider.deploy(older)
        with pytest.raises(StaleEpoch):
            await provider.remove(spec_of(world).name, 4)
        with pytest.raises(StaleEpoch):
            await provider.release(world.app, 4)
    assert [i.name for i in await world.provider.instances(world.owner)] == [spec_of(world).name]


async def test_a_crash_between_create_and_start_leaves_no_twin(world: World) -> None:
    spec = spec_of(world)
    await world.crash_before_start(spec)
    (left,) = await world.provider.instances(world.owner)
    assert left.state == "created"
    started = await world.provider.deploy(spec)
    assert (started.id, started.state) == (left.id, "running")
    assert len(await world.provider.instances(world.owner)) == 1


async def test_an_image_that_cannot_be_had(world: World) -> None:
    with pytest.raises(ImageUnavailable, match=MISSING_IMAGE) as refused:
        await world.provider.ensure_image(MISSING_IMAGE)
    assert refused.value.hint
    with pytest.raises(ImageUnavailable):
        await world.provider.deploy(spec_of(world, image=MISSING_IMAGE))
    assert await world.provider.instances(world.owner) == []


@pytest.mark.elsewhere
async def test_a_port_that_something_else_holds(world: World) -> None:
    port = await world.hold_port()
    assert not await world.provider.host_port_free(port)
    assert await world.provider.host_port_free(port, "udp")
    with pytest.raises(PortTaken, match=str(port)) as refused:
        await world.provider.deploy(_publishing(world, "web", port))
    assert refused.value.component == "web"
    assert refused.value.hint
    assert await world.provider.instances(world.owner) == []


async def test_a_port_that_another_instance_holds_is_named(world: World) -> None:
    port = await world.free_port()
    assert await world.provider.host_port_free(port)
    holder = await world.provider.deploy(_publishing(world, "web", port))
    assert holder.ports == (PortBinding(port=PORT, host_port=port),)
    assert not await world.provider.host_port_free(port)
    with pytest.raises(PortTaken, match=holder.name):
        await world.provider.deploy(_publishing(world, "api", port))


async def test_what_it_cannot_do_is_refused(world: World) -> None:
    with pytest.raises(ProviderRefused, match="GPU"):
        await world.provider.deploy(spec_of(world, resources=Resources(gpu_millis=1000)))
    with pytest.raises(ProviderRefused, match="somebody-else"):
        await world.provider.deploy(spec_of(world, owner="somebody-else"))
    assert await world.provider.instances(world.owner) == []


async def test_asking_for_what_is_not_there(world: World) -> None:
    name = spec_of(world).name
    assert await world.provider.inspect(name) is None
    assert await world.provider.instances(world.owner) == []
    with pytest.raises(NotFound, match=name):
        await world.provider.restart(name)
    with pytest.raises(NotFound, match=name):
        await world.provider.probe(name, HTTP)
    with pytest.raises(NotFound, match=name):
        await _all_lines(world.provider, name, LogQuery())
    await world.provider.remove(name, 1)
    await world.provider.release(world.app, 1, ("web/data",))


@pytest.mark.elsewhere
async def test_an_unreachable_provider_says_so_in_every_call(world: World) -> None:
    provider = world.unreachable()
    health = await provider.check()
    assert not health.reachable
    assert health.problem
    assert health.hint
    spec = spec_of(world, owner=world.owner)
    calls = [
        provider.capacity(),
        provider.ensure_image(spec.image),
        provider.deploy(spec),
        provider.network(world.app),
        provider.remove(spec.name, 1),
        provider.release(world.app, 1),
        provider.owned(world.owner),
        provider.discard(Belonging(kind="network", id="any", name="any", app=world.app), 1),
        provider.restart(spec.name),
        provider.inspect(spec.name),
        provider.instances(world.owner),
        provider.probe(spec.name, HTTP),
        provider.usage(world.owner),
        provider.host_port_free(20_000),
        _all_lines(provider, spec.name, LogQuery()),
        anext(provider.events(world.owner)),
    ]
    for call in calls:
        with pytest.raises(ProviderUnavailable):
            await call


async def test_two_at_once_make_one_instance(world: World) -> None:
    spec = spec_of(world)
    made = await asyncio.gather(*(world.provider.deploy(spec) for _ in range(4)))
    assert len({each.id for each in made}) == 1
    assert len(await world.provider.instances(world.owner)) == 1


async def test_two_processes_at_once_make_one_instance(world: World) -> None:
    spec = spec_of(world)
    made = await asyncio.gather(*(provider.deploy(spec) for provider in (world.provider, world.restarted())))
    assert len({each.id for each in made}) == 1
    assert len(await world.provider.instances(world.owner)) == 1


async def test_a_cancelled_deploy_can_be_removed_at_once(world: World) -> None:
    spec = spec_of(world)
    deploying = asyncio.create_task(world.provider.deploy(spec))
    await asyncio.sleep(0)
    deploying.cancel()
    await asyncio.wait([deploying], timeout=WITHIN_S)
    assert deploying.done()
    await world.provider.remove(spec.name, 1)
    assert await world.provider.inspect(spec.name) is None


# What happens.


async def test_deploy_starts_and_says_what_it_made(world: World) -> None:
    spec = spec_of(world, epoch=3)
    made = await world.provider.deploy(spec)
    assert (made.name, made.app, made.component) == (spec.name, spec.app, spec.component)
    assert (made.replica, made.revision, made.epoch) == (0, 1, 3)
    assert (made.state, made.spec_hash, made.ports) == ("running", spec.spec_hash, spec.ports)
    assert made.provider_id == world.provider.info.id
    assert made.id
    assert made.started_at is not None
    assert made.exit_code is None
    assert await world.provider.inspect(spec.name) == made


async def test_deploying_again_adopts(world: World) -> None:
    first = await world.provider.deploy(spec_of(world))
    again = await world.provider.deploy(spec_of(world, epoch=2))
    assert again.id == first.id
    assert again.started_at == first.started_at
    await world.end(first.name, 1)
    revived = await world.restarted().deploy(spec_of(world, epoch=2))
    assert (revived.id, revived.state, revived.exit_code) == (first.id, "running", None)


async def test_a_job_that_has_done_its_work_is_not_started_again(world: World) -> None:
    job = spec_of(world, kind="job")
    made = await world.provider.deploy(job)
    await world.end(made.name, 0)
    done = await world.restarted().deploy(job)
    assert (done.id, done.state, done.exit_code) == (made.id, "exited", 0)
    failed = spec_of(world, "seed", kind="job")
    made = await world.provider.deploy(failed)
    await world.end(made.name, 1)
    assert (await world.provider.deploy(failed)).state == "running"


async def test_remove_ends_it_and_may_be_repeated(world: World) -> None:
    made = await world.provider.deploy(spec_of(world))
    await world.provider.remove(made.name, 1)
    await world.provider.remove(made.name, 1)
    assert await world.provider.inspect(made.name) is None


async def test_two_removals_at_once(world: World) -> None:
    made = await world.provider.deploy(spec_of(world))
    await asyncio.gather(world.provider.remove(made.name, 1), world.restarted().remove(made.name, 1))
    assert await world.provider.inspect(made.name) is None


async def test_neighbours_behind_the_gateway_are_at_the_addresses_of_the_network(world: World) -> None:
    first, second = [await world.provider.network(world.app, slot) for slot in (0, 1)]
    assert first.address != second.address
    assert first.subnet == second.subnet, "from where both are used"
    assert await world.has_network()
    api = await world.provider.deploy(spec_of(world, "api"))
    web = await world.provider.deploy(spec_of(world, hosts={"api": 0, "later": 0, "clash": 1}))
    assert await world.found_at(web.name, "api") == await world.found_at(web.name, "later") == first.address
    assert await world.found_at(web.name, "clash") == second.address
    assert await world.found_at(api.name, "web") == web.address
    assert await world.found_at(api.name, "later") is None
    assert [await world.restarted().network(world.app, slot) for slot in (0, 1)] == [first, second]
    assert (await world.provider.deploy(spec_of(world, hosts={}))).id == web.id, "other hosts are no other spec"


@pytest.mark.elsewhere
async def test_a_gateway_can_stand_beside_it(world: World) -> None:
    await world.provider.check()
    assert world.provider.info.capabilities.gateway


async def test_an_address_does_not_bring_back_a_network_that_is_gone(world: World) -> None:
    await world.provider.network(world.app)
    await world.provider.network(world.app, 1)
    await world.provider.release(world.app, 1)
    with pytest.raises(NotFound):
        await world.provider.network(world.app, 1)
    assert not await world.has_network()


async def test_an_instance_finds_an_address_that_nobody_has_asked_for_yet(world: World) -> None:
    web = await world.provider.deploy(spec_of(world, hosts={"clash": 2}))
    network = await world.provider.network(world.app, 2)
    assert await world.found_at(web.name, "clash") == network.address


async def test_release_takes_the_network_and_the_named_volumes_only(world: World) -> None:
    volumes = (Volume(name="data", path="/data"), Volume(name="cache", path="/cache"))
    made = await world.provider.deploy(spec_of(world, "db", volumes=volumes, hosts={"clash": 1, "another": 3}))
    assert await world.has_network()
    await world.provider.remove(made.name, 1)
    assert await world.has_volume("db", "data")
    for _ in range(2):
        await world.provider.release(world.app, 1, ("db/data",))
        assert not await world.has_network()
        assert not await world.has_volume("db", "data")
        assert await world.has_volume("db", "cache")
    await world.provider.release(world.app, 1, ("db/cache",))


async def test_an_app_that_was_released_may_begin_again(world: World) -> None:
    made = await world.provider.deploy(spec_of(world, epoch=9))
    await world.provider.remove(made.name, 9)
    await world.provider.release(world.app, 9)
    assert (await world.provider.deploy(spec_of(world, epoch=1))).state == "running"


async def test_what_ended_is_listed_with_its_exit_code(world: World) -> None:
    made = await world.provider.deploy(spec_of(world))
    await world.end(made.name, 3)
    (listed,) = await world.provider.instances(world.owner, world.app)
    assert (listed.state, listed.exit_code, listed.oom_killed) == ("exited", 3, False)
    assert listed.finished_at is not None
    probed = await world.provider.probe(made.name, HTTP)
    assert not probed.ready
    assert "exited" in probed.detail
    assert "code 3" in probed.detail


async def test_listing_is_by_owner_and_app(world: World) -> None:
    await world.provider.deploy(spec_of(world))
    await world.provider.deploy(spec_of(world, "api"))
    assert {i.component for i in await world.provider.instances(world.owner)} == {"web", "api"}
    assert len(await world.provider.instances(world.owner, world.app)) == 2
    assert await world.provider.instances(world.owner, "another-app") == []
    assert await world.provider.instances("nobody") == []


async def test_all_that_is_owned_is_found_and_can_be_discarded(world: World) -> None:
    volumes = (Volume(name="data", path="/data"),)
    made = await world.provider.deploy(spec_of(world, "db", volumes=volumes, epoch=3))
    owned = {b.kind: b for b in await world.provider.owned(world.owner)}
    assert {kind: (b.name, b.app, b.astray) for kind, b in owned.items() if kind != "network"} == {
        "instance": (made.name, world.app, False),
        "volume": ("db/data", world.app, False),
    }
    assert (owned["network"].app, owned["network"].astray) == (world.app, False)
    found = owned["instance"].instance
    assert found is not None
    assert (found.id, found.state, found.epoch, found.spec_hash) == (made.id, "running", 3, made.spec_hash)
    assert await world.provider.owned("nobody") == []

    with pytest.raises(Conflict):
        await world.provider.discard(owned["network"], 3)
    for kind in ("instance", "volume", "network"):
        with pytest.raises(StaleEpoch):
            await world.provider.discard(owned[kind], 2)
        for _ in range(2):
            await world.provider.discard(owned[kind], 3)
    assert await world.provider.owned(world.owner) == []


async def test_what_took_the_place_of_something_is_not_discarded_with_it(world: World) -> None:
    made = await world.provider.deploy(spec_of(world))
    (before,) = [b for b in await world.provider.owned(world.owner) if b.kind == "instance"]
    await world.lose(made.name)
    again = await world.provider.deploy(spec_of(world))
    await world.provider.discard(before, 1)
    assert [i.id for i in await world.provider.instances(world.owner)] == [again.id]


async def test_restart_is_in_place(world: World) -> None:
    first = await world.provider.deploy(spec_of(world))
    again = await world.provider.restart(first.name)
    assert (again.id, again.state, again.spec_hash) == (first.id, "running", first.spec_hash)
    assert again.started_at > first.started_at
    await world.end(first.name, 1)
    assert (await world.provider.restart(first.name)).state == "running"


async def test_readiness_comes_and_goes(world: World) -> None:
    made = await world.provider.deploy(spec_of(world))
    await _until_ready(world, made.name)
    await world.break_readiness(made.name)

    async def not_ready() -> bool:
        return not (await world.provider.probe(made.name, HTTP)).ready

    await eventually(not_ready, "not ready after it stopped answering")
    assert (await world.provider.probe(made.name, HealthCheck(type="none"))).ready
    await world.mend_readiness(made.name)
    await _until_ready(world, made.name)


@pytest.mark.elsewhere
async def test_where_it_listens_can_be_seen(world: World) -> None:
    made = await world.provider.deploy(spec_of(world))
    await _until_ready(world, made.name)
    seen = await world.provider.listening(made.name) or ()
    assert [each for each in seen if not each.loopback] == [Listener(port=PORT)]
    await world.end(made.name, 0)
    assert not await world.provider.listening(made.name)
    with pytest.raises(NotFound):
        await world.provider.listening("iarnet-nobody-web-r1-0")


@pytest.mark.elsewhere
async def test_events_tell_of_starts_deaths_and_removals(world: World) -> None:
    spec = spec_of(world)
    first = await world.provider.deploy(spec)
    heard: asyncio.Queue[ProviderEvent] = asyncio.Queue()
    listening = asyncio.create_task(_listen(world, heard))
    await _until_heard(world, heard, first.name)
    await world.end(first.name, 4)
    died = await _next(heard, "died")
    assert (died.instance.name, died.instance.state, died.instance.exit_code) == (first.name, "exited", 4)
    assert died.provider_id == world.provider.info.id
    await world.provider.restart(first.name)
    assert (await _next(heard, "started")).instance.state == "running"
    await world.lose(first.name)
    assert (await _next(heard, "removed")).instance.name == first.name
    listening.cancel()
    await asyncio.wait([listening], timeout=WITHIN_S)
    assert listening.cancelled()


async def test_logs_keep_order_stream_and_time(world: World) -> None:
    made = await world.provider.deploy(spec_of(world))
    for number in range(3):
        await world.say(made.name, f"line {number}")
    await world.say(made.name, "complaint: ärger", "stderr")

    async def complete() -> bool:
        return len(await _all_lines(world.provider, made.name, LogQuery())) == 4

    await eventually(complete, "four lines")
    lines = await _all_lines(world.provider, made.name, LogQuery())
    assert [line.text for line in lines if line.stream == "stdout"] == ["line 0", "line 1", "line 2"]
    assert [line.text for line in lines if line.stream == "stderr"] == ["complaint: ärger"]
    assert all(line.time is not None and line.instance == made.name for line in lines)
    assert [line.text for line in await _all_lines(world.provider, made.name, LogQuery(tail=1))] == [
        "complaint: ärger"
    ]
    assert await _all_lines(world.provider, made.name, LogQuery(since_s=0)) == []
    assert len(await _all_lines(world.provider, made.name, LogQuery(since_s=3600))) == 4


@pytest.mark.elsewhere
async def test_logs_can_be_followed_until_the_end(world: World) -> None:
    made = await world.provider.deploy(spec_of(world))
    following = asyncio.create_task(_all_lines(world.provider, made.name, LogQuery(follow=True)))
    await world.say(made.name, "first")
    await world.say(made.name, "last")
    await world.end(made.name, 0)
    lines = await asyncio.wait_for(following, WITHIN_S)
    assert [line.text for line in lines] == ["first", "last"]


async def test_following_ends_when_cancelled(world: World) -> None:
    made = await world.provider.deploy(spec_of(world))
    await world.say(made.name, "only")
    lines = world.provider.logs(made.name, LogQuery(follow=True))
    assert (await asyncio.wait_for(anext(lines), WITHIN_S)).text == "only"
    waiting = asyncio.ensure_future(anext(lines))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting], timeout=WITHIN_S)
    assert waiting.cancelled()
    assert (await world.provider.inspect(made.name)).state == "running"


async def test_an_image_is_carried_from_where_it_is(world: World) -> None:
    image, source = await world.image_elsewhere()
    with pytest.raises(ImageUnavailable):
        await world.provider.deploy(spec_of(world, image=image))
    await asyncio.gather(*(world.provider.ensure_image(image, source) for _ in range(2)))
    await world.provider.ensure_image(image)
    assert (await world.provider.deploy(spec_of(world, image=image))).image == image


async def test_usage_is_of_what_runs(world: World) -> None:
    running = await world.provider.deploy(spec_of(world))
    ended = await world.provider.deploy(spec_of(world, "api"))
    await world.end(ended.name, 0)
    (sample,) = await world.provider.usage(world.owner)
    assert sample.instance == running.name
    assert 0 < sample.memory_bytes <= 64 << 20
    assert await world.provider.usage("nobody") == []


async def test_capacity_adds_up(world: World) -> None:
    await world.provider.deploy(spec_of(world))
    capacity = await world.provider.capacity()
    assert capacity.total == capacity.used + capacity.available
    assert capacity.total.cpu_millis >= 1000
    assert capacity.used.memory_bytes > 0


async def test_a_healthy_provider_says_so(world: World) -> None:
    health = await world.provider.check()
    assert (health.reachable, health.problem) == (True, "")
    assert health.version


def _publishing(world: World, component: str, port: int) -> InstanceSpec:
    return spec_of(world, component, ports=(PortBinding(port=PORT, host_port=port),))


async def _all_lines(provider: Provider, name: str, query: LogQuery) -> list[LogLine]:
    return [line async for line in provider.logs(name, query)]


async def _until_ready(world: World, name: str) -> None:
    async def ready() -> bool:
        return (await world.provider.probe(name, HTTP)).ready

    await eventually(ready, f"{name} is ready")


async def _listen(world: World, heard: asyncio.Queue[ProviderEvent]) -> None:
    async for event in world.provider.events(world.owner):
        heard.put_nowait(event)


async def _until_heard(world: World, heard: asyncio.Queue[ProviderEvent], name: str) -> None:
    """A subscription shows only by an event, so cause some until one arrives, and take those."""

    async def listens() -> bool:
        await world.provider.restart(name)
        return not heard.empty()

    await eventually(listens, "an event")
    # The last restart's own start is the last to come.
    started_at = (await world.provider.inspect(name)).started_at
    while (event := await _next(heard, "started")).instance.started_at != started_at:
        assert event.instance.name == name


async def _next(heard: asyncio.Queue[ProviderEvent], kind: str) -> ProviderEvent:
    """The next of this kind; others before it are skipped."""
    async with asyncio.timeout(WITHIN_S):
        while (event := await heard.get()).kind != kind:
            pass
    return event
