"""When an instance counts as ready."""

import asyncio

import pytest

from activities.readiness import wait_until
from iarnet.errors import InstanceExited
from iarnet.models.component import HealthCheck
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
