"""What is done on a provider that fails in every way, in whatever order: our activities against a model.

However often an effect is interrupted and done again, there is exactly one instance, with the specification that was
asked for, known to the store, with room in the ledger and users led to it; and nothing of what was removed.
"""

import asyncio
import itertools
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine
from temporalio.testing import ActivityEnvironment

from activities.deploying import Deploying
from iarnet.errors import Conflict, ProviderError, SpecMismatch, StaleEpoch
from iarnet.models.change import Begin
from iarnet.models.component import HealthCheck
from iarnet.models.instance import InstanceSpec
from iarnet.models.lease import Lease
from iarnet.models.plan import Operation
from iarnet.models.resources import MIB, Resources
from iarnet.models.work import Effect
from iarnet.providers.memory import MemoryProvider
from iarnet.store.base import Store
from iarnet.store.open import open_store
from tests.contract.faulty import Fault, Faulty, Killed
from tests.contract.leading import Led, One, untold
from tests.contract.store.values import GIT, Watch
from tests.depth import LONGEST_S, searching

OWNER = "node"
PARTS = st.tuples(st.sampled_from(["web", "db"]), st.integers(1, 2))
FAULTS = st.lists(st.sampled_from(get_args(Fault)), max_size=6)


class EffectsMachine(RuleBasedStateMachine):
    """`wanted` is what was deployed and not removed; `lost` of that is gone without a trace, `ended` has ended."""

    runner: asyncio.Runner
    store: Store
    clock: Watch
    examples = itertools.count()

    def __init__(self) -> None:
        super().__init__()
        number = next(self.examples)
        self.app, self.box = f"app{number}", f"box{number}"
        self.memory = MemoryProvider(self.box, owner=OWNER, faults=lambda *step: self.provider.step(*step))
        self.provider = Faulty(self.memory)
        self.gateway = Led()
        self.does = Deploying(self.store, One(self.provider), One(None), One(self.gateway), untold)
        self.epoch = 0
        self.wanted: dict[str, InstanceSpec] = {}
        self.lost: set[str] = set()
        self.ended: set[str] = set()

    @initialize()
    def create(self) -> None:
        self._run(self.store.apps.create(self.app, GIT))
        self.begin()

    @rule()
    def begin(self) -> None:
        run_id = f"{self.app}-{self.epoch}"
        begin = Begin(app=self.app, cause="deploy", workflow_id=f"change.{self.app}", run_id=run_id)
        self.epoch = self._run(self.store.facts.begin(begin)).epoch

    @rule(part=PARTS, faults=FAULTS, twice=st.booleans())
    def deploy(self, part: tuple[str, int], faults: list[Fault], twice: bool) -> None:
        effect = self._deploying(part)
        self._done(self.does.deploy_instance, effect, faults, twice=twice)
        self._deployed(effect)

    @rule(part=PARTS, faults=FAULTS, twice=st.booleans())
    def remove(self, part: tuple[str, int], faults: list[Fault], twice: bool) -> None:
        effect = self._removing(part)
        self._done(self.does.remove_instance, effect, faults, twice=twice)
        self._removed(effect)

    @rule(part=PARTS, faults=FAULTS, more=FAULTS)
    def give_up(self, part: tuple[str, int], faults: list[Fault], more: list[Fault]) -> None:
        """One attempt, and what it has done is undone, as when a change fails."""
        effect = self._deploying(part)
        self.provider.faults = list(faults)
        self._run(self._attempt(self.does.deploy_instance, effect))
        removing = self._removing(part)
        self._done(self.does.remove_instance, removing, more)
        self._removed(removing)

    @precondition(lambda self: self.epoch > 1)
    @rule(part=PARTS, deploys=st.booleans())
    def come_late(self, part: tuple[str, int], deploys: bool) -> None:
        """What an older change has left behind does nothing."""
        late = self._effect(part, "deploy" if deploys else "remove", self.epoch - 1)
        with pytest.raises(StaleEpoch):
            self._done(self.does.deploy_instance if deploys else self.does.remove_instance, late, [])

    @precondition(lambda self: self._there())
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self._there())))
        self.memory.lose(name)
        self.lost.add(name)
        self.ended.discard(name)

    @precondition(lambda self: self._there() - self.ended)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self._there() - self.ended)))
        self.memory.end(name, 1)
        self.ended.add(name)

    @invariant()
    def there_is_what_is_wanted_and_nothing_else(self) -> None:
        found = {each.name: each for each in self._run(self.memory.instances(OWNER, self.app))}
        assert set(found) == self._there()
        for name, instance in found.items():
            assert instance.spec_hash == self.wanted[name].spec_hash
            assert instance.state == ("exited" if name in self.ended else "running")

    @invariant()
    def the_store_knows_it(self) -> None:
        known = {each.name: each for each in self._run(self.store.instances.list(self.app))}
        assert set(known) == set(self.wanted)
        running = {n: self._run(self.memory.inspect(n)) for n in self._there() - self.ended}
        assert {name: known[name] for name in running} == running

    @invariant()
    def the_ledger_has_room_for_it(self) -> None:
        leases = self._run(self.store.ledger.leases(self.box))
        assert {each.id for each in leases} == set(self.wanted)
        assert {each.state for each in leases} <= {"active"}

    @invariant()
    def users_are_led_to_it(self) -> None:
        assert self.gateway.to == set(self.wanted)

    def _there(self) -> set[str]:
        return set(self.wanted) - self.lost

    def _deploying(self, part: tuple[str, int]) -> Effect:
        """Room is reserved for it when it is planned, and again when it is planned again."""
        effect = self._effect(part, "deploy", self.epoch)
        spec = effect.operation.spec
        assert spec is not None
        same = {"id": spec.name, "instance": spec.name, "app": self.app, "provider_id": self.box, "epoch": self.epoch}
        expires = self.clock.now + timedelta(seconds=60)
        lease = Lease(**same, component=part[0], resources=spec.resources, state="reserved", expires_at=expires)
        self._run(self.store.ledger.reserve([lease], {self.box: Resources(memory_bytes=4 * MIB)}))
        return effect

    def _removing(self, part: tuple[str, int]) -> Effect:
        return self._effect(part, "remove", self.epoch)

    def _effect(self, part: tuple[str, int], kind: str, epoch: int) -> Effect:
        component, revision = part
        name = f"iarnet-{self.app}-{component}-r{revision}-0"
        spec = InstanceSpec(
            name=name,
            app=self.app,
            component=component,
            kind="web",
            owner=OWNER,
            revision=revision,
            replica=0,
            epoch=epoch,
            image=f"{component}:{revision}",
            resources=Resources(memory_bytes=MIB),
            health=HealthCheck(type="tcp"),
        )
        same = {
            "id": f"{kind} {name}",
            "kind": kind,
            "provider_id": self.box,
            "component": component,
            "instance": name,
        }
        operation = Operation.model_validate(same | {"spec": spec if kind == "deploy" else None})
        return Effect(app=self.app, deployment_id=f"{self.app}.{epoch}", epoch=epoch, operation=operation)

    def _deployed(self, effect: Effect) -> None:
        spec = effect.operation.spec
        assert spec is not None
        self.wanted[spec.name] = spec
        self.lost.discard(spec.name)
        self.ended.discard(spec.name)

    def _removed(self, effect: Effect) -> None:
        name = effect.operation.instance
        self.wanted.pop(name, None)
        self.lost.discard(name)
        self.ended.discard(name)

    def _done(self, activity: Any, effect: Effect, faults: list[Fault], *, twice: bool = False) -> None:
        """Again and again until it has succeeded; `twice`: while an attempt that was given up goes on."""
        self.provider.faults = list(faults)

        async def both() -> None:
            await asyncio.gather(*(self._until_done(activity, effect) for _ in range(1 + twice)))

        self._run(both())

    async def _until_done(self, activity: Any, effect: Effect) -> None:
        while not await self._attempt(activity, effect):
            pass

    async def _attempt(self, activity: Any, effect: Effect) -> bool:
        """False: somebody will try again, Temporal or the next change. Raises what trying again can't help."""
        try:
            await ActivityEnvironment().run(activity, effect)
        except (SpecMismatch, StaleEpoch):
            raise
        except (ProviderError, Conflict, Killed):
            return False
        return True

    def _run(self, call: Any) -> Any:
        return self.runner.run(call)


@pytest.mark.search
@pytest.mark.timeout(LONGEST_S)
def test_effects_are_done_once(tmp_path: Path) -> None:
    clock = Watch()
    with asyncio.Runner() as runner:
        store = runner.run(open_store(f"sqlite:///{tmp_path / 'store.db'}", clock))
        machine = type("Machine", (EffectsMachine,), {"runner": runner, "store": store, "clock": clock})
        run_machine(machine, settings=searching(usually=60, deep=10_000))
        runner.run(store.aclose())
