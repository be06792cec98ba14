"""How many instances of an application are beside each other."""

from iarnet.models.instance import InstanceSpec
from iarnet.models.plan import Kept, Operation
from iarnet.planning.room import with_room


def test_those_that_stay_that_come_and_that_go_on_each_provider() -> None:
    plan = [
        Operation(id="serve.a", kind="serve", provider_id="a"),
        _deploy("web", "a"),
        Operation(id="ready.web", kind="ready", provider_id="a"),
        Operation(id="remove.old", kind="remove", provider_id="a"),
        _deploy("api", "b"),
        Operation(id="commit", kind="commit"),
    ]
    found = with_room(plan, [Kept(instance="db", component="db", provider_id="a")])
    assert [op.id for op in found] == [op.id for op in plan]
    assert {op.id: op.room or (op.spec and op.spec.room) for op in found if op.room or op.spec} == {
        "serve.a": 3,
        "deploy.web": 3,
        "deploy.api": 1,
    }


def test_what_runs_is_the_same_however_many_are_beside_it() -> None:
    spec = _deploy("web", "a").spec
    assert spec
    assert spec.model_copy(update={"room": 9}).spec_hash == spec.spec_hash


def _deploy(name: str, provider: str) -> Operation:
    spec = InstanceSpec(
        name=name, app="shop", component=name, kind="web", owner="o", revision=1, replica=0, epoch=0, image="i"
    )
    return Operation(id=f"deploy.{name}", kind="deploy", provider_id=provider, spec=spec)
