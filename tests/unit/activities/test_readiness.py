"""When an instance counts as ready."""

import asyncio
from typing import Any

import pytest

from activities import opened
from activities.readiness import wait_until
from iarnet.errors import InstanceExited, NotReady, WrongPort
from iarnet.models.component import HealthCheck
from iarnet.models.instance import Listener, PortBinding
from tests.contract.provider_worlds import MemoryWorld, spec_of


@pytest.fixture
def world() -> MemoryWorld:
    return MemoryWorld("node", "app")


async def test_what_nobody_can_ask_and_ends_at_once_was_never_ready(world: MemoryWorld) -> None:
    spec = spec_of(world, health=HealthCheck(type="none"))
    await world.provider.deploy(spec)
    waiting = asyncio.create_task(wait_until(world.provider, spec, "healthy"))
    await asyncio.sleep(0)  # it looks, and sees it running
    await world.end(spec.name, 3)
    with pytest.raises(InstanceExited, match="exit code 3"):
        await waiting


async def test_what_nobody_can_ask_and_goes_on_is_ready(world: MemoryWorld) -> None:
    spec = spec_of(world, health=HealthCheck(type="none"))
    await world.provider.deploy(spec)
    assert (await wait_until(world.provider, spec, "healthy")).state == "running"


async def test_what_disappears_while_it_starts_is_not_waited_for(world: MemoryWorld) -> None:
    spec = spec_of(world, health=HealthCheck(type="tcp"))
    started = await world.provider.deploy(spec)
    world.provider.break_readiness(spec.name)
    waiting = asyncio.create_task(wait_until(world.provider, spec, "healthy", started))
    await asyncio.sleep(0)  # it asks, and gets no answer
    world.provider.lose(spec.name)
    with pytest.raises(InstanceExited, match="disappeared"):
        await waiting


async def test_a_job_that_is_known_to_run_is_looked_at_until_it_has_ended(world: MemoryWorld) -> None:
    spec = spec_of(world, kind="job", health=HealthCheck(type="none"))
    started = await world.provider.deploy(spec)
    waiting = asyncio.create_task(wait_until(world.provider, spec, "completed", started))
    await asyncio.sleep(0)
    await world.end(spec.name, 0)
    assert (await waiting).exit_code == 0


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_FIRST_S", "_PAUSE_S", "_SETTLED_S"):
        monkeypatch.setattr(opened, name, 0.02)


@pytest.mark.usefixtures("hasty")
async def test_what_listens_elsewhere_is_told_where(world: MemoryWorld) -> None:
    spec = spec_of(world, health=HealthCheck(type="tcp"))
    started = await world.provider.deploy(spec)
    world.provider.listen(spec.name, Listener(port=3000), Listener(port=9229, loopback=True))
    with pytest.raises(WrongPort, match="listens on 3000, and not on 8080") as wrong:
        await wait_until(world.provider, spec, "healthy", started)
    assert wrong.value.observed == {"web.port": "3000"}


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(
    ("listening", "seen"),
    [
        ([], "it listens on no port"),
        ([3000, 4000], "it listens on 3000, 4000"),
        ([9090], "it listens on 9090"),
    ],
    ids=["nothing", "one of two", "a port that is known"],
)
async def test_what_is_not_certain_is_only_said(world: MemoryWorld, listening: list[int], seen: str) -> None:
    spec = spec_of(
        world,
        health=HealthCheck(type="tcp", start_period_s=0.3),
        ports=(PortBinding(port=8080), PortBinding(port=9090)),
    )
    started = await world.provider.deploy(spec)
    world.provider.listen(spec.name, *(Listener(port=port) for port in listening))
    with pytest.raises(NotReady, match=seen):
        await wait_until(world.provider, spec, "healthy", started)


@pytest.mark.usefixtures("hasty")
async def test_a_check_of_another_port_than_the_first_corrects_nothing(world: MemoryWorld) -> None:
    spec = spec_of(
        world,
        health=HealthCheck(type="tcp", port=9090, start_period_s=0.3),
        ports=(PortBinding(port=8080), PortBinding(port=9090)),
    )
    started = await world.provider.deploy(spec)
    world.provider.listen(spec.name, Listener(port=8080), Listener(port=9091))
    with pytest.raises(NotReady):
        await wait_until(world.provider, spec, "healthy", started)


@pytest.mark.usefixtures("hasty")
async def test_what_only_itself_gets_to_is_no_server(world: MemoryWorld) -> None:
    spec = spec_of(world, health=HealthCheck(type="tcp", start_period_s=0.3))
    started = await world.provider.deploy(spec)
    world.provider.listen(spec.name, Listener(port=8080, loopback=True), Listener(port=3000))
    with pytest.raises(NotReady, match="8080 of its loopback only"):
        await wait_until(world.provider, spec, "healthy", started)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(
    "changes", [{"kind": "database"}, {"health": HealthCheck(type="command", start_period_s=0.3)}]
)
async def test_what_is_not_asked_by_a_port_or_known_is_not_doubted(
    world: MemoryWorld, changes: dict[str, Any]
) -> None:
    spec = spec_of(world, **{"health": HealthCheck(type="tcp", start_period_s=0.3), **changes})
    started = await world.provider.deploy(spec)
    world.provider.break_readiness(spec.name)
    world.provider.listen(spec.name, Listener(port=3000))
    with pytest.raises(NotReady):
        await wait_until(world.provider, spec, "healthy", started)
