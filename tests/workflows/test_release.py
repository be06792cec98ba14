"""An application is released as a whole: it becomes the new one or is the old one again, whatever happens when."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import ApplicationError, CancelledError

from activities import failures
from activities.scene import look
from iarnet.errors import StoreUnavailable
from iarnet.models.traffic import Endpoint, EndpointState
from iarnet.store.open import open_store
from tests.workflows.release_world import NAMES, NODE, World, all_of, clock, ended, instance


@pytest.fixture
async def world(client: Client, tmp_path: Path) -> AsyncIterator[World]:
    store = await open_store(f"sqlite:///{tmp_path}/iarnet.db", clock)
    yield World(client, store, tmp_path)
    await store.aclose()


async def test_whichever_component_fails_the_old_revision_is_there_again(world: World) -> None:
    """And the workers are stopped while all of that is undone, and new ones go on."""
    apps = {f"breaks{name}": name for name in NAMES}
    async with world.working():
        for run in [await world.deploy(app, 1) for app in apps]:
            assert await ended(run) is None
        before = {app: await world.instances(app) for app in apps}
        world.broken = {instance(app, name, 2) for app, name in apps.items()}
        undone: set[str] = set()
        all_undo = asyncio.Event()

        async def hang(operation: str, name: str) -> None:
            if operation == "remove" and "-r2-" in name:
                undone.add(name.split("-")[1])
                if undone == set(apps):
                    all_undo.set()
                await asyncio.Event().wait()

        world.moment = hang
        runs = {app: await world.deploy(app, 2) for app in apps}
        await asyncio.wait_for(all_undo.wait(), 60)
        held = {lease.instance for lease in await world.store.ledger.leases()}
        assert held >= {instance(app, "db", 1) for app in apps}, "there is room for what has to come back"

    async def go_on(operation: str, name: str) -> None:
        if operation == "remove":
            removed.append(name)

    removed: list[str] = []
    world.moment = go_on
    async with world.working():
        for app, run in runs.items():
            error = await ended(run)
            assert isinstance(error, ApplicationError)
            assert error.type == "ProviderRefused"
            assert f"{instance(app, apps[app], 2)} is broken" in error.message
        for app, name in apps.items():
            await check_undone(world, app, name, before[app].keys())
    for app in apps:
        gone = [name.split("-")[2] for name in removed if f"-{app}-" in name]
        order = [name for name in ("web", "api", "migrate", "db") if name in gone]
        assert list(dict.fromkeys(name for name in gone if name != "mail")) == order, "in reverse order"
    assert world.lonely == []
    await world.end_watches(*apps)


async def check_undone(world: World, app: str, broken: str, before: object) -> None:
    there = await world.instances(app)
    assert there.keys() == before == all_of(app, 1)
    assert {i.name for i in await world.store.instances.list(app)} == all_of(app, 1)
    assert {x.instance for x in await world.store.ledger.leases(app=app)} == all_of(app, 1)
    assert {i.component for i in there.values() if i.state != "running"} == {"migrate"}
    last = await world.last(app)
    assert (last.status, (await world.store.apps.get(app)).revision) == ("rolled-back", 1)
    assert last.progress
    assert last.failure
    left = {"what db may have written to its volume data"}
    if broken != "db":
        left |= {"what the job migrate may have done"} if broken != "mail" else set()
    told = set(last.progress.not_undone)
    assert told >= left
    assert told - left <= {"what the job migrate may have done"}, "as far as `migrate` was when `mail` failed"
    assert last.failure.not_undone == last.progress.not_undone
    (event,) = [e for e in await world.store.facts.events(app) if e.kind == "change.rolled-back"]
    assert all(what in event.message for what in told)


async def test_a_first_release_that_fails_goes_in_reverse_order(world: World) -> None:
    removed: list[str] = []

    async def note(operation: str, name: str) -> None:
        if operation == "remove":
            removed.append(name.split("-")[2])

    world.moment = note
    world.broken = {instance("nothing", "web", 1)}
    async with world.working():
        assert await ended(await world.deploy("nothing", 1))
    assert await world.instances("nothing") == {}
    assert [name for name in dict.fromkeys(removed) if name != "mail"] == ["web", "api", "migrate", "db"]
    assert removed.index("mail") < removed.index("db")


async def test_who_was_on_the_way_out_is_led_to_again(world: World) -> None:
    """A change was cancelled while instances drained: those that stay are admitted by what undoes it."""
    await world.known("drained", 1)
    states: dict[str, EndpointState] = {"web": "active", "ill": "suspended", "old": "draining", "room": "held"}
    for name, state in states.items():
        at = Endpoint(
            app="drained", component=name, instance=name, provider_id="memory", address="10.0.0.1", state=state
        )
        await world.store.traffic.put_endpoint(at)
    scene = await look(world.store, world.providers, NODE, "drained")
    assert scene.admitted == {"web", "ill"}


async def test_undoing_waits_for_a_provider_that_is_away(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "_PATIENCE", 2)
    async with world.working():
        assert await ended(await world.deploy("absent", 1)) is None
        world.broken = {instance("absent", "web", 2)}
        world.away[instance("absent", "api", 2)] = 3
        assert await ended(await world.deploy("absent", 2))
        assert world.away[instance("absent", "api", 2)] == 0
        assert (await world.instances("absent")).keys() == all_of("absent", 1)
        await world.end_watches("absent")


async def test_what_was_accepted_is_recorded_though_the_store_was_away(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(failures._LONGER, StoreUnavailable, 2)
    facts, errors = world.store.facts, Counter(begin=3, finish=3)

    def at_times(name: str) -> Callable[..., Awaitable[Any]]:
        there = getattr(facts, name)

        async def away(*arguments: Any) -> Any:
            if errors[name]:
                errors[name] -= 1
                raise StoreUnavailable("the disk is full")
            return await there(*arguments)

        return away

    for name in errors:
        monkeypatch.setattr(facts, name, at_times(name))
    async with world.working():
        assert await ended(await world.deploy("written", 1)) is None
        assert (errors.total(), (await world.last("written")).status) == (0, "succeeded")
        await world.end_watches("written")


async def test_what_undoing_has_not_come_to_is_named(world: World) -> None:
    """`db` made room for its successor and can't be made again: what stands behind it stays, all else goes back."""
    async with world.working():
        assert await ended(await world.deploy("stuck", 1)) is None
        world.broken = {instance("stuck", "web", 2), instance("stuck", "db", 1)}
        error = await ended(await world.deploy("stuck", 2))
        assert isinstance(error, ApplicationError)
        assert "Undoing it failed, too" in error.message
        assert f"{instance('stuck', 'db', 1)}, which is not there again" in error.message
        assert (await world.last("stuck")).status == "failed"
        assert (await world.instances("stuck")).keys() == all_of("stuck", 1)
        await world.end_watches("stuck")


# Steps of the provider: those with an instance of the new revision are taken in a first deployment, too.
MOMENTS = [
    ("create", "db", 2),
    ("inspect", "migrate", 2),
    ("start", "api", 2),
    ("probe", "web", 2),
    ("remove", "db", 1),
    ("remove", "api", 1),
    ("remove", "mail", 1),
]


async def test_a_change_can_be_cancelled_at_any_moment(world: World) -> None:
    runs: dict[str, WorkflowHandle[object, object]] = {}
    due = {f"over{i}": moment for i, moment in enumerate(MOMENTS)}
    due |= {f"first{i}": (step, name, 1) for i, (step, name, number) in enumerate(MOMENTS) if number == 2}
    seen: set[str] = set()

    async def cancel(operation: str, name: str) -> None:
        """A second time, too, when it is being undone."""
        if (app := name.split("-")[1] if name.count("-") > 2 else "") not in runs:
            return
        component, revision = name.split("-")[2], int(name.split("-")[3][1:])
        undoing = app in seen and (operation, revision) in (
            ("remove", int(app.startswith("over")) + 1),
            ("deploy", 1),
        )
        if (operation, component, revision) == due[app] or undoing:
            seen.add(app)
            await runs[app].cancel()

    over = [app for app in due if app.startswith("over")]
    async with world.working():
        for run in [await world.deploy(app, 1) for app in over]:
            assert await ended(run) is None
        world.moment = cancel
        for app in due:
            runs[app] = await world.deploy(app, 2 if app in over else 1)
        for app, run in runs.items():
            error = await ended(run)
            assert isinstance(error, CancelledError), (due[app], error)
            assert (await world.instances(app)).keys() == (all_of(app, 1) if app in over else set()), due[app]
            assert (await world.last(app)).status == "cancelled"
            assert (await world.store.apps.get(app)).status == ("running" if app in over else "stopped")
            assert {x.instance for x in await world.store.ledger.leases(app=app)} == (
                await world.instances(app)
            ).keys()
    assert seen == set(due)
    assert [name for name in world.lonely if "-over" in name] == []
    await world.end_watches(*over)


@pytest.mark.parametrize("kind", ["StopApp", "DeleteApp"])
async def test_a_stop_that_is_cancelled_leaves_the_app_as_it_was(client: Client, world: World, kind: str) -> None:
    app = kind.lower()
    async with world.working():
        assert await ended(await world.deploy(app, 1)) is None
        before = await world.instances(app)

        async def cancel(operation: str, name: str) -> None:
            if (operation, name) == ("remove", instance(app, "api", 1)):
                await client.get_workflow_handle(f"change.{app}").cancel()

        world.moment = cancel
        run = await client.start_workflow(kind, {"app": app}, id=f"change.{app}", task_queue="iarnet")
        assert isinstance(await ended(run), CancelledError)
        assert (await world.instances(app)).keys() == before.keys()
        assert (await world.store.apps.get(app)).status == "running"
        await world.end_watches(app)


async def test_what_is_stopped_stays_so_when_its_stop_is_cancelled(client: Client, world: World) -> None:
    async with world.working():
        assert await ended(await world.deploy("idle", 1)) is None
        stop: dict[str, Any] = {"arg": {"app": "idle"}, "id": "change.idle", "task_queue": "iarnet"}
        assert await ended(await client.start_workflow("StopApp", **stop)) is None

        async def cancel(operation: str, name: str) -> None:
            if operation == "release":
                await client.get_workflow_handle("change.idle").cancel()

        world.moment = cancel
        assert isinstance(await ended(await client.start_workflow("StopApp", **stop)), CancelledError)
        assert await world.instances("idle") == {}
        assert (await world.store.apps.get("idle")).status == "stopped"
