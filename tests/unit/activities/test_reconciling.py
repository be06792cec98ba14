"""A store and a provider that disagree, put right: a real store, a provider in this process."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from temporalio.testing import ActivityEnvironment

from activities.reconciling import Reconciling, is_unfinished
from iarnet.errors import Conflict, NotFound, ProviderUnavailable
from iarnet.gateway.direct import Direct
from iarnet.models.change import Begin, ChangeRequest, Progress
from iarnet.models.component import Volume
from iarnet.models.instance import Instance, InstanceSpec
from iarnet.models.provider import ProviderHealth, ProviderState
from iarnet.models.reconciliation import Finding, Reconciliation
from iarnet.models.resources import Capacity, Resources
from iarnet.models.source import GitSource
from iarnet.models.traffic import AppNetwork
from iarnet.providers.memory import MemoryProvider
from iarnet.providers.registry import ProviderRegistry
from iarnet.secrets.sealed import MemoryRows, SealedSecrets
from iarnet.store.open import open_store
from iarnet.store.sql import SqlStore

OWNER, HERE = "me", "memory"
GIT = GitSource(url="https://example.org/shop")
NOTHING = Capacity(total=Resources(), used=Resources(), available=Resources())


def clock() -> datetime:
    return datetime.now(UTC)


class NoGateways:
    def get(self, provider_id: str) -> Direct:
        return Direct()


class World:
    """`changes`: those that were started; `busy` apps refuse one, `watched` ones have a watch."""

    def __init__(self, store: SqlStore) -> None:
        self.store = store
        self.faults: dict[str, Exception] = {}
        self.provider = MemoryProvider(
            HERE, home="here", network=AppNetwork(address="a", subnet="s"), faults=self._fault
        )
        self.secrets = SealedSecrets(MemoryRows(), b"k" * 32)
        registry = ProviderRegistry(node="here", owner=OWNER, secrets=self.secrets)
        registry.add(self.provider)
        self.changes: list[ChangeRequest] = []
        self.busy: set[str] = set()
        self.watched: set[str] = set()
        self.reconciling = Reconciling(
            store,
            registry,
            NoGateways(),
            self.secrets,
            OWNER,
            clock,
            start_change=self._start_change,
            is_open=self._is_open,
        )

    async def run(self, **order: bool | int) -> tuple[Finding, ...]:
        asked = Reconciliation.model_validate({"provider_id": HERE, **order})
        report = await ActivityEnvironment().run(self.reconciling.reconcile_provider, asked)
        return report.findings

    async def deployed(self, name: str, *components: str) -> None:
        """An app that runs, as a change leaves it."""
        await self.store.apps.create(name, GIT)
        begun = await self.store.facts.begin(
            Begin(app=name, cause="deploy", workflow_id=f"change.{name}", run_id=str(clock()))
        )
        for component in components:
            await self.make(name, component, epoch=begun.epoch)
        await self.store.facts.finish(begun.id, "succeeded", Progress(app=name), None)
        await self.store.apps.set_running(name, 1, "c" * 40, begun.epoch)

    async def make(
        self, app: str, component: str, *, owner: str = OWNER, epoch: int = 1, known: bool = True
    ) -> Instance:
        spec = InstanceSpec(
            name=f"iarnet-{app}-{component}-r1-0",
            app=app,
            component=component,
            kind="web",
            owner=owner,
            revision=1,
            replica=0,
            epoch=epoch,
            image="any",
            volumes=(Volume(name="data", path="/data"),) if component == "db" else (),
        )
        if known:
            await self.store.instances.intend(spec, HERE)
        made = await self.provider.deploy(spec)
        if known:
            await self.store.instances.record(made)
        return made

    async def there(self, owner: str = OWNER) -> set[str]:
        return {instance.name for instance in await self.provider.instances(owner)}

    async def told(self, app: str) -> list[str]:
        return [e.kind for e in await self.store.facts.events(app) if e.kind.startswith("reconcile.")]

    def _fault(self, operation: str, name: str) -> None:
        if operation in self.faults:
            raise self.faults[operation]

    async def _start_change(self, request: ChangeRequest) -> bool:
        if request.app not in self.busy:
            self.changes.append(request)
        return request.app not in self.busy

    async def _is_open(self, workflow_id: str) -> bool:
        return workflow_id.removeprefix("watch.") in self.watched


def told(findings: Sequence[Finding]) -> list[tuple[str, str, str]]:
    return [(f.action, f.name, f.outcome) for f in findings]


async def opened(directory: Path) -> World:
    world = World(await open_store(f"sqlite:///{directory}/iarnet.db", clock))
    await world.store.providers.save_state(
        ProviderState(
            info=world.provider.info,
            status="active",
            capacity=NOTHING,
            health=ProviderHealth(reachable=True),
            seen_at=clock(),
        )
    )
    return world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = await opened(tmp_path)
    yield made
    await made.store.aclose()


# What must not happen.


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    ours=st.sets(st.tuples(st.sampled_from(["shop", "gone"]), st.sampled_from(["web", "db"]), st.booleans())),
    foreign=st.sets(st.sampled_from(["api", "cache", "queue"]), min_size=1),
    status=st.sampled_from(["running", "stopped", "failed", "deploying"]),
)
async def test_what_belongs_to_others_is_never_touched(
    tmp_path_factory: pytest.TempPathFactory,
    ours: set[tuple[str, str, bool]],
    foreign: set[str],
    status: str,
) -> None:
    world = await opened(tmp_path_factory.mktemp("any"))
    await world.deployed("shop")
    for app, component, known in ours:
        await world.make(app, component, known=known and app == "shop")
    for component in foreign:
        await world.make("shop", component, owner="a stranger", known=False)
    before = await world.provider.instances("a stranger")
    await world.store.apps.set_status("shop", status)  # type: ignore[arg-type]
    await world.run(remove_volumes=True)
    assert await world.provider.instances("a stranger") == before
    assert "iarnet-gone-web-r1-0" not in await world.there()
    await world.store.aclose()


async def test_a_dry_run_changes_nothing(world: World) -> None:
    await world.make("gone", "db", known=False)
    before = await world.provider.owned(OWNER)
    assert told(await world.run(dry_run=True)) == [
        ("remove", "iarnet-gone-db-r1-0", ""),
        ("remove", "gone", ""),
        ("keep", "db/data", ""),
    ]
    assert await world.provider.owned(OWNER) == before
    assert await world.told("gone") == []


async def test_an_app_that_is_deployed_meanwhile_keeps_what_its_change_adopts(world: World) -> None:
    """It begins after the orphan was judged, and before it is removed."""
    await world.make("gone", "web", known=False)

    async def deploy() -> None:
        await world.store.apps.create("gone", GIT)
        begun = await world.store.facts.begin(
            Begin(app="gone", cause="deploy", workflow_id="change.gone", run_id="again")
        )
        await world.make("gone", "web", epoch=begun.epoch + 5)

    taken = world.reconciling._is_as_judged

    async def slow(known: object, name: str) -> bool:
        judged = await taken(known, name)  # type: ignore[arg-type]
        await deploy()
        return judged

    world.reconciling._is_as_judged = slow  # type: ignore[method-assign]
    (instance, *_) = await world.run()
    assert (instance.action, instance.outcome) == ("remove", "left")
    assert "newer change" in instance.problem
    assert await world.there() == {"iarnet-gone-web-r1-0"}


async def test_a_change_that_has_begun_meanwhile_is_seen(world: World) -> None:
    await world.deployed("shop", "web")
    await world.make("shop", "old", known=False)
    look = world.reconciling._look

    async def begun(order: Reconciliation) -> object:
        found = await look(order)
        await world.store.facts.begin(Begin(app="shop", cause="deploy", workflow_id="change.shop", run_id="two"))
        return found

    world.reconciling._look = begun  # type: ignore[method-assign, assignment]
    findings = await world.run()
    assert told(findings) == [("remove", "iarnet-shop-old-r1-0", "left")]
    assert is_unfinished(findings)
    assert "iarnet-shop-old-r1-0" in await world.there()


async def test_a_provider_that_does_not_answer_is_an_error_and_nothing_is_forgotten(world: World) -> None:
    await world.deployed("shop", "web")
    world.provider.disconnect()
    with pytest.raises(ProviderUnavailable):
        await world.run()
    assert [row.name for row in await world.store.instances.list()] == ["iarnet-shop-web-r1-0"]
    with pytest.raises(NotFound):
        await ActivityEnvironment().run(world.reconciling.reconcile_provider, Reconciliation(provider_id="nowhere"))


async def test_what_can_not_be_removed_is_said_and_keeps_nothing_else(world: World) -> None:
    await world.make("gone", "web", known=False)
    world.provider.networks.add("gone-too")
    world.faults["discard"] = Conflict("in use by a stranger")
    findings = await world.run()
    assert {f.problem for f in findings} == {"in use by a stranger"}
    assert {f.outcome for f in findings} == {"failed"}
    world.faults.clear()
    assert {f.outcome for f in await world.run()} == {"done"}
    assert await world.run() == ()


async def test_cut_short_it_goes_on_where_it_was(world: World) -> None:
    for component in ("web", "api", "queue"):
        await world.make("gone", component, known=False)
    reached, waiting = asyncio.Event(), asyncio.Event()

    async def pause(operation: str, name: str) -> None:
        if operation == "discard" and "api" in name:
            reached.set()
            await waiting.wait()

    world.provider._pause = pause
    cut = asyncio.create_task(world.run())
    await asyncio.wait_for(reached.wait(), 10)
    cut.cancel()
    await asyncio.wait([cut])
    world.provider._pause = None
    await world.run()
    assert await world.there() == set()
    assert world.provider.networks == set()


async def test_two_at_once_do_each_thing_once(world: World) -> None:
    for component in ("web", "api"):
        await world.make("gone", component, known=False)
    both = await asyncio.gather(world.run(), world.run())
    assert sorted(len(findings) for findings in both) == [0, 3]
    assert await world.told("gone") == ["reconcile.remove"] * 3


# What must.


async def test_orphans_go_and_what_runs_stays(world: World) -> None:
    await world.deployed("shop", "web", "db")
    await world.make("shop", "old", known=False)
    await world.make("gone", "db", known=False)
    findings = await world.run()
    assert told(findings) == [
        ("remove", "iarnet-shop-old-r1-0", "done"),
        ("remove", "iarnet-gone-db-r1-0", "done"),
        ("remove", "gone", "done"),
        ("keep", "db/data", ""),
    ]
    assert await world.there() == {"iarnet-shop-web-r1-0", "iarnet-shop-db-r1-0"}
    assert world.provider.networks == {"shop"}
    assert world.provider.volumes == {"shop/db/data", "gone/db/data"}
    assert await world.told("shop") == ["reconcile.remove"]
    await world.run(remove_volumes=True)
    assert world.provider.volumes == {"shop/db/data"}
    assert await world.run() == ()


async def test_what_is_lost_is_left_to_its_watch_at_first(world: World) -> None:
    await world.deployed("shop", "web")
    world.provider.lose("iarnet-shop-web-r1-0")
    world.watched = {"shop"}
    findings = await world.run(looks=2)
    assert told(findings) == [("heal", "iarnet-shop-web-r1-0", "left")]
    assert is_unfinished(findings)
    assert told(await world.run(looks=1)) == [("heal", "iarnet-shop-web-r1-0", "done")]
    assert [(c.app, c.cause, c.fetch) for c in world.changes] == [("shop", "heal", False)]
    world.busy = {"shop"}
    assert told(await world.run()) == [("heal", "iarnet-shop-web-r1-0", "left")]


async def test_what_was_stopped_while_it_could_not_be_reached_is_stopped(world: World) -> None:
    await world.deployed("shop", "web")
    await world.store.apps.set_status("shop", "stopped")
    assert ("stop", "iarnet-shop-web-r1-0", "done") in told(await world.run())
    assert [(c.app, c.cause) for c in world.changes] == [("shop", "stop")]


async def test_what_a_row_expects_is_adopted(world: World) -> None:
    await world.deployed("shop", "web")
    (row,) = await world.store.instances.list()
    await world.store.instances.record(row.model_copy(update={"state": "lost"}))
    assert told(await world.run()) == [("adopt", row.name, "done")]
    assert [r.state for r in await world.store.instances.list()] == ["running"]


async def test_secrets_go_with_the_last_data(world: World) -> None:
    await world.deployed("shop", "db")
    await world.secrets.ensure("apps/shop/db/password")
    await world.secrets.ensure("apps/never/db/password")
    await world.store.apps.delete("shop")
    await world.run()
    assert "apps/shop/db/password" in await world.secrets.names()
    await world.run(remove_volumes=True)
    await world.run()
    assert await world.secrets.names() == ["apps/never/db/password"], "of an app that never was they are somebody's"
