"""Instances, providers and sealed values."""

import asyncio
from datetime import timedelta

import pytest

from iarnet.errors import AlreadyExists, SpecMismatch, StaleEpoch
from iarnet.models.provider import ProviderHealth, ProviderInfo, ProviderRegistration, ProviderState
from iarnet.models.resources import Capacity, Resources
from iarnet.store.sql import SqlStore
from tests.contract.store.values import GIT, NAME, Watch, begin, instance, spec


async def test_an_intent_of_an_older_change_is_refused(store: SqlStore) -> None:
    await store.facts.begin(begin(git=GIT))
    await store.instances.intend(spec(epoch=1), "box")
    await store.facts.begin(begin())
    with pytest.raises(StaleEpoch, match=r"epoch 2, this one has 1"):
        await store.instances.intend(spec(epoch=1, image="old"), "box")
    assert await store.instances.spec(NAME) == spec(epoch=1)
    await store.instances.intend(spec(epoch=2), "box")
    assert await store.instances.spec(NAME) == spec(epoch=2)


async def test_intents_and_newer_changes_at_once_leave_no_stale_intent(store: SqlStore) -> None:
    """Each intent that passed was written before the newer change began."""
    await store.facts.begin(begin(git=GIT))

    async def intend(replica: int) -> bool:
        try:
            await store.instances.intend(spec(name=f"{NAME}{replica}", replica=replica, epoch=1), "box")
        except StaleEpoch:
            return False
        return True

    _, *passed = await asyncio.gather(store.facts.begin(begin()), *(intend(replica) for replica in range(10)))
    assert len(await store.instances.list()) == sum(passed)
    assert not await intend(11)


async def test_an_instance_of_another_app_is_not_taken_over(store: SqlStore) -> None:
    """`shop` with the component `web-api` and `shop-web` with `api` make the same name."""
    for app in ("shop", "shop-web"):
        await store.facts.begin(begin(app=app, git=GIT))
    name = "iarnet-shop-web-api-r1-0"
    await store.instances.intend(spec(name=name, component="web-api"), "box")
    with pytest.raises(SpecMismatch, match="is an instance of shop") as refusal:
        await store.instances.intend(spec(name=name, app="shop-web", component="api"), "box")
    assert refusal.value.hint
    assert [i.component for i in await store.instances.list("shop")] == ["web-api"]
    assert await store.instances.list("shop-web") == []


async def test_instances_of_given_names_are_those_of_every_app(store: SqlStore) -> None:
    for app in ("shop", "bank", "club"):
        await store.facts.begin(begin(app=app, git=GIT))
        await store.instances.intend(spec(name=f"iarnet-{app}-web-r1-0", app=app), "box")
    names = {"iarnet-shop-web-r1-0", "iarnet-bank-web-r1-0", "iarnet-none-web-r1-0"}
    assert [i.app for i in await store.instances.list(names=names)] == ["bank", "shop"]
    assert [i.app for i in await store.instances.list("shop", names=names)] == ["shop"]
    assert await store.instances.list(names=()) == []


async def test_an_instance_is_pending_until_its_provider_speaks(store: SqlStore, clock: Watch) -> None:
    await store.facts.begin(begin(git=GIT))
    assert await store.instances.spec(NAME) is None
    await store.instances.intend(spec(), "box")
    [pending] = await store.instances.list()
    assert (pending.state, pending.provider_id, pending.spec_hash) == ("pending", "box", spec().spec_hash)
    assert (pending.image, pending.ports) == (spec().image, spec().ports)
    running = instance(started_at=clock.now, id="0123")
    await store.instances.record(running)
    assert await store.instances.list(app="shop", provider_id="box") == [running]
    assert await store.instances.list(app="other") == await store.instances.list(provider_id="other") == []
    await store.instances.intend(spec(), "box")
    assert await store.instances.list() == [running], "intending again forgets nothing"


async def test_what_is_older_is_not_recorded(store: SqlStore, clock: Watch) -> None:
    await store.facts.begin(begin(git=GIT))
    await store.instances.intend(spec(), "box")
    start = clock.now
    ended = instance(state="exited", epoch=2, started_at=start, finished_at=start + timedelta(seconds=9), exit_code=1)
    await store.instances.record(ended)
    for older in (
        instance(epoch=1, started_at=start + timedelta(seconds=99)),
        instance(epoch=2, started_at=start - timedelta(seconds=1)),
        instance(epoch=2, started_at=start),
    ):
        await store.instances.record(older)
        assert await store.instances.list() == [ended]
    for newer in (
        instance(epoch=2, started_at=start + timedelta(seconds=10)),
        instance(epoch=2, state="lost"),
        instance(epoch=3),
    ):
        await store.instances.record(newer)
        assert await store.instances.list() == [newer]


async def test_a_late_event_brings_nothing_back(store: SqlStore) -> None:
    await store.facts.begin(begin(git=GIT))
    await store.instances.intend(spec(), "box")
    await store.instances.forget(NAME)
    await store.instances.forget(NAME)
    await store.instances.record(instance(state="exited"))
    assert await store.instances.list() == []


async def test_a_move_has_the_same_name_on_two_providers(store: SqlStore, clock: Watch) -> None:
    await store.facts.begin(begin(git=GIT))
    await store.instances.intend(spec(), "box")
    await store.instances.record(instance())
    clock.advance(1)
    await store.instances.intend(spec(image="new"), "cloud")
    assert [(i.provider_id, i.state) for i in await store.instances.list()] == [
        ("box", "running"),
        ("cloud", "pending"),
    ]
    assert await store.instances.spec(NAME) == spec(image="new")
    await store.instances.forget(NAME, "box")
    assert [i.provider_id for i in await store.instances.list()] == ["cloud"]
    await store.instances.forget(NAME)
    assert await store.instances.spec(NAME) is None


async def test_a_provider_id_is_taken_by_one_registration(store: SqlStore, clock: Watch) -> None:
    registration = ProviderRegistration(id="box", name="Box", type="docker", url="tcp://box:2376", labels={"a": "b"})
    await store.providers.register(registration)
    await store.providers.register(registration)
    with pytest.raises(AlreadyExists, match="box") as refusal:
        await store.providers.register(registration.model_copy(update={"url": "tcp://other:2376"}))
    assert refusal.value.hint
    assert await store.providers.registrations() == [registration]
    await store.providers.save_state(state(clock))
    await store.providers.unregister("box")
    await store.providers.unregister("box")
    assert await store.providers.registrations() == await store.providers.states() == []


async def test_the_state_seen_last_stays(store: SqlStore, clock: Watch) -> None:
    older = state(clock)
    clock.advance(1)
    newer = state(clock).model_copy(update={"status": "unreachable"})
    await store.providers.save_state(newer)
    await store.providers.save_state(older)
    assert await store.providers.states() == [newer]


async def test_a_provider_has_the_home_that_was_first(store: SqlStore, clock: Watch) -> None:
    def of(home: str) -> ProviderState:
        seen = state(clock)
        return seen.model_copy(update={"info": seen.info.model_copy(update={"home": home})})

    homes = await asyncio.gather(*(store.providers.claim(of(f"node-{n}")) for n in range(8)))
    assert len(set(homes)) == 1
    assert await store.providers.claim(of("late")) == homes[0]
    await store.providers.unregister("box")
    assert await store.providers.claim(of("late")) == "late"


async def test_sealed_values_go_by_prefix(store: SqlStore) -> None:
    assert await store.secrets.get("shop/db/password") is None
    for name in ("shop/db/password", "shop/db/PASSWORD", "shop2/db/x", "shopxdb/x", "credentials/%"):
        await store.secrets.put(name, name.encode() + b"\x00\xff")
    await store.secrets.put("shop2/db/x", b"")
    assert await store.secrets.get("shop/db/PASSWORD") == b"shop/db/PASSWORD\x00\xff"
    assert await store.secrets.get("shop2/db/x") == b""
    assert set(await store.secrets.names("shop/")) == {"shop/db/PASSWORD", "shop/db/password"}
    assert await store.secrets.names("shop/db/p") == ["shop/db/password"]
    assert await store.secrets.names("shop_") == await store.secrets.names("%") == []
    await store.secrets.delete("shop/db/p")
    await store.secrets.delete("nothing")
    assert len(await store.secrets.names()) == 4


def state(clock: Watch) -> ProviderState:
    nothing = Resources()
    return ProviderState(
        info=ProviderInfo(id="box", name="Box", type="docker"),
        status="active",
        capacity=Capacity(total=nothing, used=nothing, available=nothing),
        health=ProviderHealth(reachable=True),
        seen_at=clock.now,
    )
