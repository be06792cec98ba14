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
