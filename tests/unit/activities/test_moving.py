"""A provider is lost: what ran there is planned elsewhere."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from temporalio.testing import ActivityEnvironment

from activities.analyzing import Analyzing
from activities.placing import always
from activities.planning import Planning
from activities.ports import HostPorts
from activities.recording import Recording
from activities.revising import Revising
from activities.sourcing import Sourcing
from iarnet.analysers.built_in import BuiltIn
from iarnet.analysis.corrections import apply_corrections
from iarnet.analysis.engine import analyze
from iarnet.builds.absent import AbsentBuilder
from iarnet.errors import NoRoom
from iarnet.models.change import AnalyzeRequest, Begin, ChangeRequest, ImportRequest, Progress
from iarnet.models.plan import Plan
from iarnet.models.provider import ProviderHealth, ProviderState, ProviderStatus
from iarnet.models.source import GitSource
from iarnet.models.work import Outcome, Prepare
from iarnet.providers.memory import MemoryProvider
from iarnet.providers.registry import ProviderRegistry
from iarnet.secrets.sealed import MemoryRows, SealedSecrets
from iarnet.sources.git import GitSources
from iarnet.store.open import open_store
from iarnet.store.sql import SqlStore
from tests.e2e.busybox import application, described, worker
from tests.e2e.repository import Repository

OWNER = "here"


def clock() -> datetime:
    return datetime.now(UTC)


async def unnamed(host: str) -> None:
    raise AssertionError(f"{host} is nobody's")


class World:
    """Two providers, a store, and the activities between a request and its plan."""

    def __init__(self, store: SqlStore, directory: Path) -> None:
        self.store = store
        secrets = SealedSecrets(MemoryRows(), b"k" * 32)
        self.sources = GitSources(directory / "objects", allow_file=True)
        self.registry = ProviderRegistry(node=OWNER, owner=OWNER, secrets=secrets)
        self.providers = {id: MemoryProvider(id, home=OWNER, owner=OWNER) for id in ("one", "two")}
        for provider in self.providers.values():
            self.registry.add(provider)
        self.sourcing = Sourcing(store, self.sources, secrets, AbsentBuilder(), clock)
        revising = Revising(store, self.sources, secrets, lambda *_: "", apply_corrections, clock)
        ports = HostPorts(store.ledger, range(20_000, 20_010))
        self.planning = Planning(store, self.registry, ports, revising, OWNER, OWNER, clock)
        self.recording = Recording(store, always(OWNER), "localhost", clock, unnamed)
        self.run = ActivityEnvironment().run

    async def see(self, **statuses: ProviderStatus) -> None:
        """What the monitors would have recorded."""
        for id, status in statuses.items():
            provider = self.providers[id]
            health = ProviderHealth(reachable=status == "active")
            state = ProviderState(
                info=provider.info, status=status, capacity=await provider.capacity(), health=health, seen_at=clock()
            )
            await self.store.providers.save_state(state)

    async def bring(self, source: Repository) -> None:
        await self.run(self.sourcing.import_source, ImportRequest(app="shop", git=GitSource(url=source.url)))
        await self.run(
            Analyzing(self.store, BuiltIn(self.sources, analyze)).analyze_source, AnalyzeRequest(app="shop")
        )

    async def carry_out(self, request: ChangeRequest) -> Plan:
        """Plan it, and do what the plan says, as a change does."""
        begin = Begin(app="shop", cause=request.cause, workflow_id="change.shop", run_id=str(clock()))
        deployment = await self.run(self.recording.begin_change, begin)
        plan: Plan = await self.run(self.planning.prepare_change, Prepare(deployment=deployment, request=request))
        for operation in plan.operations:
            assert operation.kind == "deploy"
            assert operation.spec
            await self.store.instances.intend(operation.spec, operation.provider_id)
            made = await self.registry.get(operation.provider_id).deploy(operation.spec)
            await self.store.instances.record(made)
        progress = Progress(app="shop", revision=plan.revision)
        await self.run(
            self.recording.finish_change,
            Outcome(deployment=deployment, kind="deploy", status="succeeded", progress=progress),
        )
        return plan


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    store = await open_store(f"sqlite:///{tmp_path}/iarnet.db", clock)
    yield World(store, tmp_path)
    await store.aclose()


async def test_what_ran_on_a_lost_provider_moves_as_it_was(world: World, tmp_path: Path) -> None:
    await world.see(one="active")
    source = application(tmp_path / "repository", worker("web"))
    await world.bring(source)
    await world.carry_out(ChangeRequest(app="shop"))
    source.write("iarnet.yaml", described(worker("newer"))).commit()
    await world.bring(source)

    await world.see(one="unreachable", two="active")
    moved = await world.carry_out(ChangeRequest(app="shop", cause="migrate", avoid_providers=("one",)))
    assert [(op.component, op.provider_id, op.instance) for op in moved.operations] == [
        ("web", "two", "iarnet-shop-web-r2-0")
    ]
    assert "iarnet-shop-web-r1-0 stays on one" in moved.notes[0]
    states = {(i.name, i.provider_id) for i in await world.store.instances.list(app="shop")}
    assert states == {("iarnet-shop-web-r1-0", "one"), ("iarnet-shop-web-r2-0", "two")}

    await world.see(one="active")
    request = ChangeRequest(app="shop", cause="heal", revision=moved.revision)
    deployment = await world.run(
        world.recording.begin_change, Begin(app="shop", cause="heal", workflow_id="change.shop", run_id="back")
    )
    plan: Plan = await world.run(world.planning.prepare_change, Prepare(deployment=deployment, request=request))
    assert [(op.kind, op.instance, op.provider_id) for op in plan.operations] == [
        ("remove", "iarnet-shop-web-r1-0", "one")
    ], "what was left behind goes when its provider is back"
    assert [kept.instance for kept in plan.kept] == ["iarnet-shop-web-r2-0"]


async def test_going_back_to_what_may_still_run_on_a_lost_provider_makes_no_twin_of_it(
    world: World, tmp_path: Path
) -> None:
    await world.see(one="active")
    source = application(tmp_path / "repository", worker("web"))
    await world.bring(source)
    await world.carry_out(ChangeRequest(app="shop"))
    await world.see(one="unreachable", two="active")
    back = await world.carry_out(ChangeRequest(app="shop", cause="rollback", revision=1))
    assert [(op.provider_id, op.instance) for op in back.operations] == [("two", "iarnet-shop-web-r2-0")]
    await world.see(one="active")
    healed = ChangeRequest(app="shop", cause="heal", revision=back.revision)
    begin = Begin(app="shop", cause="heal", workflow_id="change.shop", run_id="back")
    deployment = await world.run(world.recording.begin_change, begin)
    plan: Plan = await world.run(world.planning.prepare_change, Prepare(deployment=deployment, request=healed))
    assert [(op.kind, op.instance, op.provider_id) for op in plan.operations] == [
        ("remove", "iarnet-shop-web-r1-0", "one")
    ]


async def test_nowhere_to_go_is_said(world: World, tmp_path: Path) -> None:
    await world.see(one="active")
    await world.bring(application(tmp_path / "repository", worker("web")))
    await world.carry_out(ChangeRequest(app="shop"))
    await world.see(one="unreachable")
    with pytest.raises(NoRoom):
        await world.carry_out(ChangeRequest(app="shop", cause="migrate", avoid_providers=("one",)))
    assert [i.name for i in await world.store.instances.list(app="shop")] == ["iarnet-shop-web-r1-0"]


async def test_what_was_written_down_and_never_came_to_be_is_undone(world: World, tmp_path: Path) -> None:
    """A change that is cancelled in between has made a row and no instance."""
    await world.see(one="active")
    await world.bring(application(tmp_path / "repository", worker("web")))
    begin = Begin(app="shop", cause="deploy", workflow_id="change.shop", run_id="cancelled")
    deployment = await world.run(world.recording.begin_change, begin)
    asked = Prepare(deployment=deployment, request=ChangeRequest(app="shop"))
    plan: Plan = await world.run(world.planning.prepare_change, asked)
    begun = next(op for op in plan.operations if op.spec)
    assert begun.spec
    await world.store.instances.intend(begun.spec, begun.provider_id)

    undo = asked.model_copy(update={"kind": "stop", "compensation": True})
    undone: Plan = await world.run(world.planning.prepare_change, undo)
    assert [(op.kind, op.instance) for op in undone.operations] == [("remove", begun.instance), ("release", "")]
