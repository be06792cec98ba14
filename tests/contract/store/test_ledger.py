"""The ledger: who may use how much of what."""

import asyncio
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from iarnet.errors import InvalidInput, NoRoom, NotFound, SpecMismatch
from iarnet.models.lease import Place
from iarnet.models.resources import MIB, Resources
from iarnet.store.open import open_store
from iarnet.store.sql import SqlStore
from tests.contract.store.reserving import reserve_many
from tests.contract.store.values import Watch, lease

FOUR = {"box": Resources(memory_bytes=4 * MIB)}


async def test_more_than_there_is_is_refused_with_the_reason(store: SqlStore) -> None:
    await store.ledger.reserve([lease("a", mib=3)], FOUR)
    with pytest.raises(NoRoom, match="box is short of memory: 2Mi asked, 1Mi free of 4Mi") as refusal:
        await store.ledger.reserve([lease("b", mib=2, component="db")], FOUR)
    assert (refusal.value.where, refusal.value.component) == ("box", "db")
    assert refusal.value.hint
    await store.ledger.reserve([lease("b", mib=1)], FOUR)


@pytest.mark.parametrize(
    ("asked", "short"),
    [
        (Resources(storage_bytes=1), "storage"),
        (Resources(gpu_millis=500), "gpu"),
        (Resources(memory_bytes=1), "memory"),
    ],
)
async def test_memory_storage_and_gpu_are_counted_and_cpu_is_not(
    store: SqlStore, asked: Resources, short: str
) -> None:
    await store.ledger.reserve([lease("a", resources=Resources(cpu_millis=10**6))], {"box": Resources()})
    with pytest.raises(NoRoom, match=f"short of {short}"):
        await store.ledger.reserve([lease("b", resources=asked)], {"box": Resources(cpu_millis=10**6)})


async def test_all_or_none(store: SqlStore) -> None:
    limits = FOUR | {"cloud": Resources(memory_bytes=MIB)}
    with pytest.raises(NoRoom, match="cloud"):
        await store.ledger.reserve([lease("a"), lease("b", mib=2, provider_id="cloud")], limits)
    assert await store.ledger.leases() == []
    await store.ledger.reserve([lease("a", mib=2), lease("b", mib=2), lease("c", provider_id="cloud")], limits)
    assert [one.id for one in await store.ledger.leases("box")] == ["a", "b"]


async def test_a_provider_without_a_limit_is_refused(store: SqlStore) -> None:
    with pytest.raises(InvalidInput, match="cloud"):
        await store.ledger.reserve([lease("a", provider_id="cloud")], FOUR)
    await store.ledger.reserve([], {})


async def test_the_same_again_is_counted_once(store: SqlStore, clock: Watch) -> None:
    expires = clock.now + timedelta(seconds=60)
    one = lease("a", mib=4, expires_at=expires, epoch=7)
    await store.ledger.reserve([one], FOUR)
    await store.ledger.reserve([one], FOUR)
    assert await store.ledger.leases() == [one]
    await store.ledger.reserve([one], {"box": Resources()})
    with pytest.raises(NoRoom):
        await store.ledger.reserve([lease("a", mib=5)], FOUR)
    await store.ledger.activate("a")
    await store.ledger.activate("a")
    smaller = lease("a", mib=2, expires_at=expires)
    await store.ledger.reserve([smaller], FOUR)
    assert await store.ledger.leases() == [smaller.model_copy(update={"state": "active", "expires_at": None})]


async def test_a_reservation_expires_and_a_lease_in_use_does_not(store: SqlStore, clock: Watch) -> None:
    expires = clock.now + timedelta(seconds=60)
    await store.ledger.reserve([lease("a", mib=2, expires_at=expires), lease("b", mib=2, expires_at=expires)], FOUR)
    await store.ledger.activate("a")
    clock.advance(59.9)
    with pytest.raises(NoRoom):
        await store.ledger.reserve([lease("c")], FOUR)
    clock.advance(0.1)
    assert [one.id for one in await store.ledger.leases()] == ["a"]
    await store.ledger.reserve([lease("c", mib=2)], FOUR)
    with pytest.raises(NotFound, match="expired") as refusal:
        await store.ledger.activate("b")
    assert refusal.value.hint


async def test_what_is_reserved_is_summed_by_provider(store: SqlStore, clock: Watch) -> None:
    assert await store.ledger.reserved() == {}
    limits = FOUR | {"cloud": Resources(memory_bytes=4 * MIB)}
    expires = clock.now + timedelta(seconds=60)
    await store.ledger.reserve([lease("a"), lease("b", app="bank"), lease("c", mib=3, provider_id="cloud")], limits)
    await store.ledger.reserve([lease("d", mib=2, expires_at=expires)], limits)
    assert await store.ledger.reserved() == {
        "box": Resources(memory_bytes=4 * MIB),
        "cloud": Resources(memory_bytes=3 * MIB),
    }
    clock.advance(60)
    assert (await store.ledger.reserved())["box"] == Resources(memory_bytes=2 * MIB)


async def test_an_expired_reservation_comes_back_while_nobody_has_reserved(store: SqlStore, clock: Watch) -> None:
    await store.ledger.reserve([lease("a", mib=4, expires_at=clock.now)], FOUR)
    assert await store.ledger.leases() == []
    await store.ledger.activate("a")
    with pytest.raises(NoRoom):
        await store.ledger.reserve([lease("b")], FOUR)


async def test_a_lease_of_another_app_is_not_taken_over(store: SqlStore) -> None:
    await store.ledger.reserve([lease("a")], FOUR)
    with pytest.raises(SpecMismatch, match="a is an instance of shop") as refusal:
        await store.ledger.reserve([lease("b", app="other"), lease("a", app="other")], FOUR)
    assert refusal.value.hint
    assert [(each.id, each.app) for each in await store.ledger.leases()] == [("a", "shop")]


async def test_releasing_gives_room_back(store: SqlStore) -> None:
    await store.ledger.reserve([lease("a", mib=2), lease("b", mib=2)], FOUR)
    await store.ledger.release(["a", "b", "nothing"])
    await store.ledger.release([])
    await store.ledger.reserve([lease("c", mib=4, app="other")], FOUR)
    assert await store.ledger.leases(app="shop") == []
    assert [one.id for one in await store.ledger.leases("box", "other")] == ["c"]


async def test_a_hundred_at_once_never_get_more_than_there_is(url: str, store: SqlStore, clock: Watch) -> None:
    other = await open_store(url, clock)
    got = await asyncio.gather(
        reserve_many(store, "one", count=50, limit_mib=10), reserve_many(other, "two", count=50, limit_mib=10)
    )
    await other.aclose()
    assert sum(got) == len(await store.ledger.leases()) == 10


async def test_processes_never_get_more_than_there_is(url: str, store: SqlStore) -> None:
    program = Path(__file__).with_name("reserving.py")
    commands = [(sys.executable, program, url, name, "50", "10") for name in ("one", "two")]
    processes = [await asyncio.create_subprocess_exec(*command, stdout=-1, stderr=-1) for command in commands]
    got = []
    for process in processes:
        out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        got.append(int(out))
    assert sum(got) == len(await store.ledger.leases()) == 10


async def test_cancelled_callers_leave_a_working_ledger(store: SqlStore) -> None:
    calls = [asyncio.create_task(reserve_many(store, f"{n}", count=1, limit_mib=10)) for n in range(60)]
    async with asyncio.timeout(30):
        while not await store.ledger.leases():
            pass
    for call in calls[::2]:
        call.cancel()
    await asyncio.wait(calls)
    await reserve_many(store, "last", count=10, limit_mib=10)
    assert len(await store.ledger.leases()) == 10
    await store.ledger.release([one.id for one in await store.ledger.leases()])
    assert await reserve_many(store, "again", count=20, limit_mib=10) == 10


async def test_a_port_has_one_holder_per_provider(store: SqlStore) -> None:
    ledger = store.ledger
    assert await ledger.claim_port("box", "shop", "web/80/tcp", _tcp(8080))
    assert await ledger.claim_port("box", "shop", "web/80/tcp", _tcp(8080))
    assert not await ledger.claim_port("box", "shop", "api/80/tcp", _tcp(8080))
    assert not await ledger.claim_port("box", "other", "web/80/tcp", _tcp(8080))
    assert await ledger.claim_port("cloud", "other", "web/80/tcp", _tcp(8080))
    assert await ledger.ports("box") == {_tcp(8080): ("shop", "web/80/tcp")}


async def test_a_port_passes_to_another_key_of_the_app_that_gives_it_up(store: SqlStore) -> None:
    ledger, given_up = store.ledger, {"web/80/tcp"}
    await ledger.claim_port("box", "shop", "web/80/tcp", _tcp(8080))
    await ledger.claim_port("cloud", "shop", "web/80/tcp", _tcp(8080))
    assert not await ledger.claim_port("box", "shop", "api/80/tcp", _tcp(8080), {"mail/80/tcp"})
    assert not await ledger.claim_port("box", "other", "api/80/tcp", _tcp(8080), given_up)
    assert await ledger.claim_port("box", "shop", "api/80/tcp", _tcp(8080), given_up)
    assert await ledger.ports("box") == {_tcp(8080): ("shop", "api/80/tcp")}
    assert await ledger.ports("cloud") == {_tcp(8080): ("shop", "web/80/tcp")}


async def test_a_key_has_one_port_per_provider(store: SqlStore) -> None:
    ledger = store.ledger
    await ledger.claim_port("box", "other", "web/80/tcp", _tcp(9090))
    await ledger.claim_port("box", "shop", "web/80/tcp", _tcp(8080))
    assert await ledger.claim_port("box", "shop", "web/80/tcp", _tcp(8081))
    assert not await ledger.claim_port("box", "shop", "web/80/tcp", _tcp(9090))
    assert await ledger.ports("box") == {_tcp(8081): ("shop", "web/80/tcp"), _tcp(9090): ("other", "web/80/tcp")}


async def test_a_port_is_there_for_tcp_and_for_udp(store: SqlStore) -> None:
    ledger = store.ledger
    assert await ledger.claim_port("box", "names", "dns/53/tcp", (53, "tcp"))
    assert await ledger.claim_port("box", "names", "dns/53/udp", (53, "udp"))
    assert not await ledger.claim_port("box", "other", "dns/53/udp", (53, "udp"))
    assert not await ledger.claim_port("box", "names", "api/53/udp", (53, "udp"), {"dns/53/tcp"})
    assert await ledger.ports("box") == {(53, "tcp"): ("names", "dns/53/tcp"), (53, "udp"): ("names", "dns/53/udp")}
    assert await ledger.claim_port("box", "names", "api/53/udp", (53, "udp"), {"dns/53/udp"})
    await ledger.release_ports("names", keep={("box", "dns/53/tcp")})
    assert await ledger.ports("box") == {(53, "tcp"): ("names", "dns/53/tcp")}


async def test_one_of_many_gets_the_port(url: str, store: SqlStore, clock: Watch) -> None:
    other = await open_store(url, clock)
    claims = [(store, other)[n % 2].ledger.claim_port("box", f"app-{n}", "web/80/tcp", _tcp(8080)) for n in range(20)]
    assert sum(await asyncio.gather(*claims)) == 1
    await other.aclose()


async def test_ports_are_released_but_those_to_keep(store: SqlStore) -> None:
    ledger = store.ledger
    for port, (provider, app, key) in enumerate(
        [("box", "shop", "web"), ("box", "shop", "api"), ("cloud", "shop", "web"), ("box", "other", "web")], 8000
    ):
        await ledger.claim_port(provider, app, key, _tcp(port))
    await ledger.release_ports("shop", keep={("box", "web"), ("cloud", "api")})
    assert await ledger.ports("box") == {_tcp(8000): ("shop", "web"), _tcp(8003): ("other", "web")}
    assert await ledger.ports("cloud") == {}
    await ledger.release_ports("shop")
    assert await ledger.ports("box") == {_tcp(8003): ("other", "web")}


def _tcp(port: int) -> Place:
    return port, "tcp"
