"""Apps: what was asked for."""

import asyncio
from datetime import UTC, timedelta

import pytest

from iarnet.errors import AlreadyExists, InvalidInput, NotFound, StaleEpoch
from iarnet.models.app import Event, Settings
from iarnet.models.source import GitSource
from iarnet.store.sql import SqlStore
from tests.contract.store.values import GIT, Watch, begin, instance, lease, revision, source, spec


async def test_what_is_not_there_is_not_found(store: SqlStore) -> None:
    with pytest.raises(NotFound, match="no app shop") as refusal:
        await store.apps.get("shop")
    assert refusal.value.hint
    for call in (
        store.apps.set_status("shop", "running"),
        store.apps.set_settings("shop", Settings()),
        store.apps.set_git("shop", GIT),
        store.apps.set_running("shop", 1, "a" * 40, 1),
    ):
        with pytest.raises(NotFound):
            await call


@pytest.mark.parametrize("name", ["", "Shop", "-shop", "a" * 41, "shop/x"])
async def test_a_name_that_cannot_be_one_is_refused(store: SqlStore, name: str) -> None:
    with pytest.raises(InvalidInput):
        await store.apps.create(name, GIT)


async def test_a_name_is_taken_by_one_repository(store: SqlStore) -> None:
    await store.apps.create("shop", GIT)
    with pytest.raises(AlreadyExists, match=GIT.url) as refusal:
        await store.apps.create("shop", GitSource(url="https://example.org/other.git"))
    assert refusal.value.hint


async def test_the_same_repository_again_takes_the_new_ref_and_keeps_the_credential(
    store: SqlStore, clock: Watch
) -> None:
    first = await store.apps.create("shop", GIT.model_copy(update={"credential": "credentials/x"}), "My shop")
    clock.advance(1)
    assert await store.apps.create("shop", first.git) == first
    again = await store.apps.create("shop", GIT.model_copy(update={"ref": "v2"}))
    assert (again.git.ref, again.git.credential, again.title) == ("v2", "credentials/x", "My shop")
    assert (again.created_at, again.updated_at) == (first.created_at, clock.now)
    assert await store.apps.get("shop") == again


async def test_many_who_create_the_same_get_the_same(store: SqlStore) -> None:
    made = await asyncio.gather(*(store.apps.create("shop", GIT) for _ in range(20)))
    assert made == [await store.apps.get("shop")] * 20


async def test_times_are_utc_whatever_zone_they_came_in(store: SqlStore, clock: Watch) -> None:
    from zoneinfo import ZoneInfo

    clock.now = clock.now.astimezone(ZoneInfo("Europe/Berlin")) + timedelta(microseconds=1)
    await store.apps.create("shop", GIT)
    created = (await store.apps.get("shop")).created_at
    assert created == clock.now
    assert created.tzinfo is UTC


async def test_an_older_change_cannot_touch_the_app(store: SqlStore) -> None:
    old, new = await store.facts.begin(begin(git=GIT)), await store.facts.begin(begin())
    for call in (
        store.apps.set_status("shop", "failed", old.epoch),
        store.apps.set_running("shop", 1, "a" * 40, old.epoch),
    ):
        with pytest.raises(StaleEpoch, match=r"epoch 2, this one has 1"):
            await call
    await store.apps.set_running("shop", 1, "a" * 40, new.epoch)
    app = await store.apps.get("shop")
    assert (app.status, app.revision, app.commit) == ("running", 1, "a" * 40)
    await store.apps.set_status("shop", "degraded")
    assert (await store.apps.get("shop")).status == "degraded"


async def test_settings_and_source_are_replaced(store: SqlStore) -> None:
    await store.apps.create("shop", GIT)
    settings = Settings(values={"web.replicas": "2"}, secrets={"web.env.KEY": "shop/web/KEY"})
    moved = GitSource(url="https://example.org/moved.git")
    await store.apps.set_settings("shop", settings)
    await store.apps.set_git("shop", moved)
    app = await store.apps.get("shop")
    assert (app.settings, app.git) == (settings, moved)


async def test_deleting_leaves_the_story_and_never_repeats_its_numbers(store: SqlStore, clock: Watch) -> None:
    deployment = await store.facts.begin(begin(git=GIT))
    event = await store.facts.add_event(Event(time=clock.now, app="shop", kind="x", message="y"))
    await store.facts.save_revision(revision(clock.now))
    await store.facts.save_source(source(clock.now))
    await store.instances.intend(spec(epoch=1), "box")
    await store.ledger.reserve([lease("a")], {"box": lease("a").resources})
    await store.ledger.claim_port("box", "shop", "web/80/tcp", (8080, "tcp"))
    await store.apps.delete("shop")
    await store.apps.delete("shop")
    assert await store.apps.list() == []
    assert await store.facts.revisions("shop") == await store.instances.list() == await store.ledger.leases() == []
    assert await store.facts.source("shop") is None
    assert await store.ledger.ports("box") == {}
    assert await store.facts.events("shop") == [event]
    assert await store.facts.deployment(deployment.id) == deployment
    again = await store.facts.begin(begin(git=GIT))
    assert (again.number, again.epoch) == (2, 2)
    with pytest.raises(StaleEpoch):
        await store.instances.intend(spec(epoch=1), "box")


async def test_nothing_is_recorded_of_an_app_that_is_gone(store: SqlStore, clock: Watch) -> None:
    for call in (
        store.facts.save_source(source(clock.now)),
        store.facts.save_revision(revision(clock.now)),
        store.facts.save_build_log("shop", "web", "image", ("line",)),
        store.instances.intend(spec(epoch=1), "box"),
    ):
        with pytest.raises(NotFound) as refusal:
            await call
        assert refusal.value.hint
    await store.instances.record(instance())
    assert await store.instances.list() == []
