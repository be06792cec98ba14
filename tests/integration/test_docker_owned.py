"""What an engine has of ours, and what only looks as if it were."""

from collections.abc import AsyncIterator

import pytest

from iarnet.errors import SpecMismatch
from iarnet.models.reconciliation import Belonging
from iarnet.providers.docker.companion import MADE_OF
from iarnet.providers.docker.names import Names
from iarnet.providers.docker.spec import APP, EPOCH, NAME, OWNER, labels
from tests.contract.docker_engine import IMAGE
from tests.contract.provider_worlds import DockerWorld, docker_world, spec_of

pytestmark = pytest.mark.docker


@pytest.fixture
async def world() -> AsyncIterator[DockerWorld]:
    async with docker_world() as made:
        yield made


def container(world: DockerWorld, name: str, **given: str) -> str:
    made = world.client.create_container(IMAGE, ["true"], name=name, labels=given)
    return str(made["Id"])


async def test_a_second_container_of_a_name_is_astray_and_no_instance(world: DockerWorld) -> None:
    made = await world.provider.deploy(spec_of(world))
    second = container(world, f"second-{world.owner}", **labels(spec_of(world)))
    owned = {b.id: b for b in await world.provider.owned(world.owner) if b.kind == "instance"}
    assert {id: b.astray for id, b in owned.items()} == {made.id: False, second: True}
    assert [i.id for i in await world.provider.instances(world.owner)] == [made.id]
    await world.provider.discard(owned[second], 1)
    assert [b.id for b in await world.provider.owned(world.owner) if b.kind == "instance"] == [made.id]


async def test_what_can_not_be_judged_is_left_alone(world: DockerWorld) -> None:
    given = labels(spec_of(world))
    name = Names(world.owner).container(given[NAME])
    half = container(world, f"half-{world.owner}", **{OWNER: world.owner, NAME: "iarnet-x-y-r1-0", APP: world.app})
    nonsense = container(world, name, **(given | {EPOCH: "the last"}))
    unnameable = container(world, f"odd-{world.owner}", **(given | {APP: "No Name"}))
    network = world.client.create_network(f"plain-{world.owner}", labels={OWNER: world.owner})["Id"]
    assert await world.provider.owned(world.owner) == []
    stranger = Belonging(kind="network", id=network, name="any", app=world.app)
    world.client.create_network(f"other-{world.owner}", labels={OWNER: f"{world.owner}-other"})
    (other,) = [n["Id"] for n in world.client.networks(names=[f"other-{world.owner}"])]
    with pytest.raises(SpecMismatch):
        await world.provider.discard(stranger.model_copy(update={"id": other}), 1)
    there = {c["Id"] for c in world.client.containers(all=True, filters={"label": f"{OWNER}={world.owner}"})}
    assert there == {half, nonsense, unnameable}


async def test_a_gateway_is_known_by_its_provider(world: DockerWorld) -> None:
    given = {OWNER: world.owner, MADE_OF: "any"}
    made = container(world, Names(world.owner).companion("box"), **given)
    (gateway,) = await world.provider.owned(world.owner)
    assert (gateway.kind, gateway.id, gateway.name, gateway.app) == ("gateway", made, "box", "")
    await world.provider.discard(gateway, 0)
    assert await world.provider.owned(world.owner) == []
