"""How a certificate is kept, with a real store and our own authority; an authority that refuses is played."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.testing import ActivityEnvironment
from temporalio.worker import Worker

from activities.certifying import Certifying, watch_certificate
from activities.failures import FailureInterceptor
from activities.options import QUEUE, node_queue
from activities.placing import Placing, always
from iarnet.certificates.authority import OwnAuthority
from iarnet.certificates.base import Pair, Prove
from iarnet.errors import AuthorityRefused, GatewayUnavailable, NotFound, RateLimited
from iarnet.gateway.direct import Direct
from iarnet.models.domains import Certificate, Challenge, Domain
from iarnet.models.source import GitSource
from iarnet.models.work import Upkeep
from iarnet.secrets.sealed import SealedSecrets
from iarnet.store.open import open_store
from iarnet.store.sql import SqlStore
from workers.catalogue import WORKFLOWS
from workers.node import clock
from workers.sandbox import runner
from workflows.refusals import RunInterceptor

HOST = "shop.example.org"
NODE = "here"
WITHIN_S = 30.0
DAY_S = 86_400


class Led(Direct):
    """Takes everything over, unless `broken`."""

    def __init__(self) -> None:
        self.refreshes = 0
        self.broken = False

    async def refresh(self, app: str = "", within_s: float = 10.0) -> None:
        self.refreshes += 1
        if self.broken:
            raise GatewayUnavailable("Envoy is away")


class Played:
    """An authority that does what `act` does, once it has let the gateway answer a challenge."""

    def __init__(self, act: Callable[[], Awaitable[Pair]]) -> None:
        self.act = act
        self.asked = 0

    async def issue(self, host: str, prove: Prove) -> Pair:
        self.asked += 1
        await prove(Challenge(host=host, token="t", answer="t.a"))
        return await self.act()


class World:
    def __init__(self, store: SqlStore, client: Client) -> None:
        self.store = store
        self.client = client
        self.secrets = SealedSecrets(store.secrets, bytes(32))
        self.led = Led()
        self.own = OwnAuthority(self.secrets, NODE, clock, [HOST])
        self.acme = Played(self.sign)
        issuers = {"own": self.own, "acme": self.acme}
        self.carrier = always(NODE)
        self.certifying = Certifying(store, self.secrets, self.led, issuers, clock)

    async def sign(self) -> Pair:
        async def unproven(challenge: Challenge) -> None: ...

        return await self.own.issue(HOST, unproven)

    async def add(self, kind: Any, **values: Any) -> None:
        await self.store.domains.put(Domain(host=HOST, app="shop", component="web", certificate=kind, **values))

    async def remove(self) -> None:
        await self.store.domains.delete(HOST)
        await self.tell()

    async def tell(self) -> None:
        await watch_certificate(self.client, HOST, changed=True)

    @property
    def watch(self) -> WorkflowHandle[Any, Any]:
        return self.client.get_workflow_handle(f"certificate.{HOST}")

    async def certificate(self, unlike: Certificate | None = None) -> Certificate:
        """Once there is one other than that, and it is in use."""
        refreshes = self.led.refreshes

        async def new() -> Certificate | None:
            found = await self.store.domains.certificate(HOST)
            return found if found != unlike and self.led.refreshes >= refreshes else None

        return await until(new)

    async def problem(self) -> str:
        async def noted() -> str:
            return (await self.store.domains.get(HOST)).problem

        return await until(noted)

    async def well(self) -> None:
        async def nothing() -> bool:
            return not (await self.store.domains.get(HOST)).problem

        await until(nothing)

    async def keys(self) -> list[str]:
        return await self.secrets.names("tls")

    async def events(self, kind: str) -> list[str]:
        return [event.message for event in await self.store.facts.events("shop") if event.kind == kind]

    async def pauses(self) -> list[float]:
        """How long it has been, or is, asleep."""
        events = (await self.watch.fetch_history()).events
        started = [
            e.timer_started_event_attributes for e in events if e.event_type == EventType.EVENT_TYPE_TIMER_STARTED
        ]
        return [timer.start_to_fire_timeout.ToTimedelta().total_seconds() for timer in started]


async def until(look: Callable[[], Awaitable[Any]]) -> Any:
    async with asyncio.timeout(WITHIN_S):
        while True:
            if found := await look():
                return found
            await asyncio.sleep(0.02)


@pytest.fixture
async def world(tmp_path: Path, client: Client) -> AsyncIterator[World]:
    async with _world(tmp_path, client) as made:
        yield made


@asynccontextmanager
async def _world(tmp_path: Path, client: Client) -> AsyncIterator[World]:
    store = await open_store(f"sqlite:///{tmp_path}/iarnet.db", clock)
    await store.apps.create("shop", GitSource(url="https://example.org/shop.git"))
    made = World(store, client)
    async with working(made):
        yield made
        if await store.domains.list():
            await made.remove()
        await asyncio.wait_for(made.watch.result(), WITHIN_S)
        assert await made.keys() == []
    await store.aclose()


@asynccontextmanager
async def working(world: World) -> AsyncIterator[None]:
    certifying = world.certifying
    anywhere = [
        certifying.look_at_domain,
        certifying.note_problem,
        certifying.forget_keys,
        Placing(lambda app: world.carrier(app)).this_node,
    ]
    failures = FailureInterceptor(world.secrets)
    async with (
        Worker(
            world.client,
            task_queue=QUEUE,
            workflows=WORKFLOWS,
            activities=anywhere,
            workflow_runner=runner(),
            interceptors=[failures, RunInterceptor()],
        ),
        Worker(
            world.client,
            task_queue=node_queue(NODE),
            activities=[certifying.issue_certificate],
            interceptors=[failures],
        ),
    ):
        yield


async def test_a_domain_has_a_certificate_until_it_goes(world: World) -> None:
    await world.add("own")
    await watch_certificate(world.client, HOST)
    got = await world.certificate()
    assert await world.keys() == [got.key]
    assert "BEGIN PRIVATE KEY" in await world.secrets.get(got.key)
    assert "IARNet authority of here" in got.issuer
    [told] = await until(lambda: world.events("certificate.issued"))
    assert told.startswith(f"{HOST} has a certificate of CN=IARNet authority of here until ")
    assert await until(world.pauses) == [DAY_S]
    await world.remove()
    await asyncio.wait_for(world.watch.result(), WITHIN_S)
    assert (await world.watch.describe()).status == WorkflowExecutionStatus.COMPLETED


async def test_it_is_renewed_when_two_thirds_of_its_time_are_over(world: World) -> None:
    await world.add("own")
    await watch_certificate(world.client, HOST)
    first = await world.certificate()
    await until(world.pauses)
    due_soon = {"not_before": clock() - timedelta(days=60), "not_after": clock() + timedelta(days=30, seconds=6)}
    await world.store.domains.put_certificate(first.model_copy(update=due_soon))
    await world.tell()
    await until(lambda: several(world.pauses))
    aged = await world.store.domains.certificate(HOST)
    second = await world.certificate(unlike=aged)
    assert second.key != first.key
    await until(lambda: same(world.keys, [second.key]))
    assert (await world.pauses())[1] < 6
    assert len(await world.events("certificate.issued")) == 2


async def test_two_thirds_are_of_its_whole_time(world: World) -> None:
    await world.add("own")
    await watch_certificate(world.client, HOST)
    got = await world.certificate()
    upkeep: Upkeep = await ActivityEnvironment().run(world.certifying.look_at_domain, HOST)
    assert upkeep.renew_at
    assert (upkeep.renew_at - got.not_before) / (got.not_after - got.not_before) == pytest.approx(2 / 3)
    assert upkeep.expires_at == got.not_after


async def several(look: Callable[[], Awaitable[list[Any]]]) -> bool:
    return len(await look()) > 1


async def same(look: Callable[[], Awaitable[Any]], wanted: Any) -> bool:
    return bool(await look() == wanted)


async def test_a_refusal_is_written_down_once_and_tried_again_when_told(world: World) -> None:
    async def refuse() -> Pair:
        raise AuthorityRefused("example.com says: connection refused", hint="Open port 80.")

    world.acme.act = refuse
    await world.add("acme")
    await watch_certificate(world.client, HOST)
    assert await world.problem() == "example.com says: connection refused. Open port 80."
    await until(world.pauses)
    await world.tell()
    await until(lambda: several(world.pauses))
    assert world.acme.asked == 2
    assert await world.pauses() == [pytest.approx(60, abs=5), pytest.approx(180, abs=5)]
    assert len(await world.events("certificate.failed")) == 1
    assert await world.store.domains.challenges() == []
    world.acme.act = world.sign
    await world.tell()
    await world.certificate()
    await world.well()


async def test_an_authority_with_limits_is_left_alone(world: World) -> None:
    async def limit() -> Pair:
        limited = RateLimited("example.com says: too many")
        limited.again_in_s = 12_345
        raise limited

    world.acme.act = limit
    await world.add("acme")
    await watch_certificate(world.client, HOST)
    assert await world.problem() == "example.com says: too many"
    assert await until(world.pauses) == [pytest.approx(12_345, abs=5)]


async def test_what_it_has_goes_on_while_another_can_not_be_had(world: World) -> None:
    await world.add("own")
    await watch_certificate(world.client, HOST)
    first = await world.certificate()

    async def refuse() -> Pair:
        raise AuthorityRefused("no")

    world.acme.act = refuse
    await world.add("acme")
    await world.tell()
    assert await world.problem() == f"no. The one it has is valid until {first.not_after:%Y-%m-%d %H:%M} UTC."
    assert await world.store.domains.certificate(HOST) == first
    assert await world.keys() == [first.key]


async def test_one_that_a_person_has_given_meanwhile_is_not_replaced(world: World) -> None:
    began, go = asyncio.Event(), asyncio.Event()

    async def slow() -> Pair:
        began.set()
        await go.wait()
        return await world.sign()

    world.acme.act = slow
    await world.add("acme")
    await watch_certificate(world.client, HOST)
    await asyncio.wait_for(began.wait(), WITHIN_S)
    mine = (await world.sign()).certificate
    await world.add("given")
    await world.store.domains.put_certificate(mine)
    await world.tell()
    go.set()
    assert await until(world.pauses) == [DAY_S]
    assert await world.store.domains.certificate(HOST) == mine
    assert (await world.store.domains.get(HOST)).problem == ""


async def test_a_given_one_that_has_expired_is_told(world: World) -> None:
    await world.add("given")
    old = (await world.sign()).certificate
    await world.store.domains.put_certificate(old.model_copy(update={"not_after": clock() - timedelta(days=1)}))
    await watch_certificate(world.client, HOST)
    assert "expired on" in await world.problem()


async def test_a_gateway_that_is_away_does_not_cost_another_certificate(world: World) -> None:
    world.led.broken = True
    await world.add("own")
    await watch_certificate(world.client, HOST)
    assert await world.problem() == "Envoy is away"
    await until(world.pauses)
    first = await world.certificate()
    world.led.broken = False
    await world.tell()
    await until(lambda: several(world.pauses))
    assert await world.store.domains.certificate(HOST) == first


async def test_a_domain_without_certificate_has_no_watch(world: World) -> None:
    await world.add("none")
    await watch_certificate(world.client, HOST)
    await asyncio.wait_for(world.watch.result(), WITHIN_S)
    await world.add("own")
    await world.tell()
    await world.certificate()


async def test_a_domain_that_has_gone_when_it_is_looked_at(world: World) -> None:
    await world.secrets.put(f"tls/{HOST}/0", "left over")
    await world.tell()
    await asyncio.wait_for(world.watch.result(), WITHIN_S)
    with pytest.raises(NotFound):
        await world.secrets.get(f"tls/{HOST}/0")


async def test_what_was_asked_for_is_not_lost_with_the_run(tmp_path: Path, renewing: Client) -> None:
    async def refuse() -> Pair:
        raise AuthorityRefused("no")

    async with _world(tmp_path, renewing) as world:
        world.acme.act = refuse
        await world.add("acme")
        await watch_certificate(renewing, HOST)
        await until(world.pauses)
        await world.tell()

        async def asked_again() -> bool:
            return world.acme.asked == 2

        await until(asked_again)


async def test_a_node_that_can_not_be_found_is_a_failure_like_others(world: World) -> None:
    async def nobody(app: str) -> str:
        raise NotFound("No node is there.")

    found, world.carrier = world.carrier, nobody
    await world.add("own")
    await watch_certificate(world.client, HOST)
    assert await world.problem() == "No node is there."
    await until(world.pauses)
    world.carrier = found
    await world.tell()
    await world.certificate()
