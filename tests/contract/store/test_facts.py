"""Facts: deployments, plans, snapshots, events and build logs."""

import asyncio

import pytest

from iarnet.errors import AlreadyExists, Conflict, NotFound, StaleEpoch
from iarnet.models.analysis import Analysis, Evidence
from iarnet.models.app import Event
from iarnet.models.change import ComponentProgress, Failure, Progress
from iarnet.models.plan import Operation, Plan
from iarnet.models.source import GitSource
from iarnet.store.open import open_store
from iarnet.store.sql import SqlStore
from tests.contract.store.values import COMMIT, GIT, TREE, Watch, begin, component, revision, source, spec

FAILURE = Failure(code="NotReady", message="web did not answer", component="web", log=("a \x00 b", "\u2028"))


def progress(step: str = "starting", **values: object) -> Progress:
    known = {"app": "shop", "step": step, "components": (ComponentProgress(component="web", phase="starting"),)}
    return Progress(**known | values)


async def test_beginning_needs_an_app_or_its_source(store: SqlStore) -> None:
    with pytest.raises(NotFound, match="no app shop") as refusal:
        await store.facts.begin(begin())
    assert "Git URL" in refusal.value.hint
    assert await store.facts.deployments("shop") == []


async def test_beginning_with_another_repository_changes_nothing(store: SqlStore) -> None:
    await store.facts.begin(begin(git=GIT))
    with pytest.raises(AlreadyExists):
        await store.facts.begin(begin(git=GitSource(url="https://example.org/other.git")))
    assert (await store.apps.get("shop")).epoch == 1
    assert [d.status for d in await store.facts.deployments("shop")] == ["running"]


@pytest.mark.parametrize(("cause", "status"), [("stop", "stopping"), ("delete", "deleting"), ("heal", "deploying")])
async def test_beginning_raises_the_epoch_and_says_what_happens(store: SqlStore, cause: str, status: str) -> None:
    first = await store.facts.begin(begin(git=GIT))
    await store.facts.finish(first.id, "succeeded", progress(), None)
    await store.apps.set_running("shop", 3, COMMIT, first.epoch)
    second = await store.facts.begin(begin(cause=cause, node="here"))
    assert (first.id, first.number, first.epoch) == ("shop.1", 1, 1)
    assert (second.id, second.number, second.epoch, second.previous_revision) == ("shop.2", 2, 2, 3)
    assert second.node == "here"
    app = await store.apps.get("shop")
    assert (app.epoch, app.status) == (2, status)
    assert (await store.facts.deployment("shop.1")).status == "succeeded"


async def test_the_same_run_begins_once(store: SqlStore, clock: Watch) -> None:
    request = begin(git=GIT)
    first = await store.facts.begin(request)
    clock.advance(5)
    again = await asyncio.gather(*(store.facts.begin(request) for _ in range(10)))
    assert again == [first] * 10
    assert await store.facts.run(request.run_id) == first
    assert await store.facts.run("another") is None
    assert (await store.apps.get("shop")).epoch == 1


async def test_many_runs_that_begin_at_once_get_a_number_each(url: str, store: SqlStore, clock: Watch) -> None:
    await store.apps.create("shop", GIT)
    other = await open_store(url, clock)
    begun = await asyncio.gather(*((store, other)[n % 2].facts.begin(begin()) for n in range(20)))
    await other.aclose()
    assert sorted(d.number for d in begun) == sorted(d.epoch for d in begun) == list(range(1, 21))
    running = [d.number for d in await store.facts.deployments("shop") if d.status == "running"]
    assert running == [20]


async def test_a_newer_run_supersedes_one_that_was_terminated(store: SqlStore, clock: Watch) -> None:
    old = await store.facts.begin(begin(git=GIT))
    await store.facts.save_progress(old.id, progress(revision=4))
    clock.advance(7)
    new = await store.facts.begin(begin())
    superseded = await store.facts.deployment(old.id)
    assert (superseded.status, superseded.finished_at, superseded.revision) == ("failed", clock.now, 4)
    assert superseded.failure is not None
    assert "superseded by a newer run" in superseded.failure.message
    assert superseded.progress is not None
    assert (superseded.progress.status, superseded.progress.step) == ("failed", "starting")
    for call in (
        store.facts.save_progress(old.id, progress("late")),
        store.facts.finish(old.id, "succeeded", progress("late"), None),
    ):
        with pytest.raises(StaleEpoch, match=r"shop\.1 was superseded by shop\.2"):
            await call
    assert await store.facts.deployment(old.id) == superseded
    assert (await store.facts.deployment(new.id)).status == "running"


async def test_finishing_again_changes_nothing_even_after_a_newer_one_began(store: SqlStore, clock: Watch) -> None:
    deployment = await store.facts.begin(begin(git=GIT))
    await store.facts.finish(deployment.id, "failed", progress(status="failed", revision=2), FAILURE)
    finished = await store.facts.deployment(deployment.id)
    assert (finished.failure, finished.finished_at, finished.revision) == (FAILURE, clock.now, 2)
    clock.advance(1)
    await store.facts.finish(deployment.id, "failed", progress(status="failed", revision=2), FAILURE)
    await store.facts.save_progress(deployment.id, progress("late"))
    await store.facts.begin(begin())
    await store.facts.finish(deployment.id, "failed", progress(status="failed", revision=2), FAILURE)
    assert await store.facts.deployment(deployment.id) == finished


async def test_an_app_ends_with_its_deletion_and_a_new_one_of_its_name_does_not(store: SqlStore) -> None:
    await store.facts.begin(begin(git=GIT))
    deletion = await store.facts.begin(begin(cause="delete"))
    await store.facts.finish(deletion.id, "succeeded", progress(), None)
    with pytest.raises(NotFound):
        await store.apps.get("shop")
    again = await store.apps.create("shop", GIT)
    await store.facts.finish(deletion.id, "succeeded", progress(), None)
    assert await store.apps.get("shop") == again


async def test_an_app_outlives_a_deletion_that_fails(store: SqlStore) -> None:
    await store.facts.begin(begin(git=GIT))
    deletion = await store.facts.begin(begin(cause="delete"))
    await store.facts.finish(deletion.id, "failed", progress(status="failed"), FAILURE)
    assert (await store.apps.get("shop")).name == "shop"


async def test_deployments_are_listed_newest_first(store: SqlStore) -> None:
    await store.facts.begin(begin(git=GIT))
    for _ in range(3):
        await store.facts.begin(begin())
    await store.facts.begin(begin(app="other", git=GIT))
    assert [d.number for d in await store.facts.deployments("shop", limit=3)] == [4, 3, 2]


async def test_what_is_proven_rises_with_each_change_that_ends_well(store: SqlStore) -> None:
    assert await store.facts.proven("shop") == 0
    for status, proven in (("succeeded", 1), ("failed", 1), ("rolled-back", 1), ("succeeded", 4)):
        begun = await store.facts.begin(begin(git=GIT))
        await store.facts.finish(begun.id, status, progress(), None)
        assert await store.facts.proven("shop") == proven
    assert await store.facts.proven("other") == 0


async def test_a_plan_belongs_to_a_deployment(store: SqlStore) -> None:
    plan = Plan(
        app="shop",
        revision=2,
        previous_revision=1,
        cause="deploy",
        operations=(Operation(id="1", kind="deploy", spec=spec()),),
    )
    for call in (
        store.facts.save_plan("shop.1", plan),
        store.facts.deployment("shop.1"),
        store.facts.save_progress("shop.1", progress()),
        store.facts.finish("shop.1", "succeeded", progress(), None),
    ):
        with pytest.raises(NotFound, match=r"no deployment shop\.1"):
            await call
    deployment = await store.facts.begin(begin(git=GIT))
    assert await store.facts.plan(deployment.id) is None
    await store.facts.save_plan(deployment.id, plan)
    assert await store.facts.plan(deployment.id) == plan
    saved = await store.facts.deployment(deployment.id)
    assert (saved.revision, saved.previous_revision) == (2, 1)


async def test_the_newest_source_is_the_one_fetched_last(store: SqlStore, clock: Watch) -> None:
    await store.apps.create("shop", GIT)
    assert await store.facts.source("shop") is None
    first = source(clock.now)
    clock.advance(1)
    second = source(clock.now, commit="c" * 40)
    for one in (second, first, first):
        await store.facts.save_source(one)
    assert await store.facts.source("shop") == second
    assert await store.facts.source("shop", COMMIT) == first
    clock.advance(1)
    await store.facts.save_source(source(clock.now))
    assert await store.facts.source("shop") == source(clock.now)
    assert await store.facts.source_of("shop", TREE) == source(clock.now), "the newest of those with that tree"
    assert await store.facts.source_of("shop", "f" * 40) is None
    assert await store.facts.source_of("other", TREE) is None


async def test_an_analysis_is_found_by_its_tree(store: SqlStore) -> None:
    await store.apps.create("shop", GIT)
    evidence = Evidence(fact="web.port", value="80", file="Dockerfile", line=3)
    analysis = Analysis(tree=TREE, components=(component("web"),), evidence=(evidence,))
    await store.facts.save_analysis("shop", Analysis(tree=TREE))
    await store.facts.save_analysis("shop", analysis)
    assert await store.facts.analysis("shop", TREE) == analysis
    assert await store.facts.analysis("shop", "c" * 40) is None
    assert await store.facts.analysis("other", TREE) is None


async def test_a_revision_never_changes(store: SqlStore, clock: Watch) -> None:
    await store.apps.create("shop", GIT)
    first = revision(clock.now)
    await store.facts.save_revision(first)
    clock.advance(1)
    await store.facts.save_revision(revision(clock.now))
    with pytest.raises(Conflict, match="revision 1 of shop") as refusal:
        await store.facts.save_revision(revision(clock.now, images={"web": "other"}))
    assert refusal.value.hint
    await store.facts.save_revision(revision(clock.now, 2))
    assert await store.facts.revision("shop", 1) == first
    assert await store.facts.revision("shop", 3) is None
    assert [r.number for r in await store.facts.revisions("shop")] == [2, 1]
    assert [r.number for r in await store.facts.revisions("shop", limit=1)] == [2]


async def test_events_are_numbered_in_order(store: SqlStore, clock: Watch) -> None:
    def event(n: int) -> Event:
        return Event(time=clock.now, app=("shop", "other")[n % 2], kind="k", message=f"\x00 {n}", data={"n": n})

    added = await asyncio.gather(*(store.facts.add_event(event(n)) for n in range(20)))
    told = await store.facts.events()
    assert told == sorted(added, key=lambda e: e.id)
    assert [e.id for e in told] == sorted({e.id for e in told})
    assert await store.facts.events("shop", after=told[4].id, limit=3) == [e for e in told[5:] if e.app == "shop"][:3]
    assert await store.facts.events(after=told[-1].id) == []


async def test_a_build_log_keeps_its_last_lines(store: SqlStore) -> None:
    await store.apps.create("shop", GIT)
    assert await store.facts.build_log("shop", "web") == ()
    await store.facts.save_build_log("shop", "web", "old", ("old",))
    await store.facts.save_build_log("shop", "web", "new", tuple(f"\x1b[31m{n}\x00" for n in range(2001)))
    log = await store.facts.build_log("shop", "web")
    assert (len(log), log[0], log[-1]) == (2000, "\x1b[31m1\x00", "\x1b[31m2000\x00")
