"""Names, their certificates, and what proves them."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from iarnet.errors import AlreadyExists, NotFound
from iarnet.models.domains import Certificate, Challenge, Domain
from iarnet.store.sql import SqlStore
from tests.contract.store.values import GIT

HOST = "shop.example.org"


def domain(host: str = HOST, **values: Any) -> Domain:
    return Domain(**{"host": host, "app": "shop", "component": "web"} | values)


def certificate(host: str = HOST, **values: Any) -> Certificate:
    known = {
        "chain": "-----BEGIN CERTIFICATE-----\nü\n",
        "key": f"tls/{host}/0123456789abcdef",
        "not_before": datetime(2026, 1, 1, tzinfo=UTC),
        "not_after": datetime(2026, 4, 1, 12, 30, tzinfo=UTC),
        "issuer": "CN=an authority",
    }
    return Certificate(**{"host": host} | known | values)


def challenge(token: str = "t0ken", host: str = HOST) -> Challenge:
    return Challenge(host=host, token=token, answer=f"{token}.thumb-print_")


async def test_a_domain_is_replaced_by_its_host_and_belongs_to_one_app(store: SqlStore) -> None:
    for app in ("shop", "other"):
        await store.apps.create(app, GIT)
    everything = domain(port=8080, certificate="acme", plain=True, redirect_to="www.example.org", problem="too early")
    await store.domains.put(domain())
    await store.domains.put(everything)
    assert await store.domains.get(HOST) == everything
    foreign = domain("*.example.com", app="other", certificate="given")
    await store.domains.put(foreign)
    assert await store.domains.list() == [foreign, everything]
    assert await store.domains.list("shop") == [everything]
    with pytest.raises(AlreadyExists, match=f"{HOST} is taken by shop") as refusal:
        await store.domains.put(domain(app="other"))
    assert refusal.value.where == HOST
    assert refusal.value.hint
    assert await store.domains.list() == [foreign, everything]
    await store.domains.delete(HOST)
    for call in (store.domains.delete(HOST), store.domains.get(HOST)):
        with pytest.raises(NotFound, match=f"no domain {HOST}") as missing:
            await call
        assert missing.value.hint
    await store.domains.put(domain(app="other"))


async def test_a_problem_is_written_beside_the_rest(store: SqlStore) -> None:
    await store.apps.create("shop", GIT)
    await store.domains.put(domain(port=81))
    await store.domains.set_problem(HOST, "the server refuses it")
    await store.domains.set_problem("nobody.example.org", "?")
    assert await store.domains.list() == [domain(port=81, problem="the server refuses it")]
    await store.domains.set_problem(HOST, "")
    assert await store.domains.get(HOST) == domain(port=81)


async def test_a_domain_has_the_certificate_that_was_given_last(store: SqlStore) -> None:
    await store.apps.create("shop", GIT)
    for host in (HOST, "a.example.org"):
        await store.domains.put(domain(host))
    assert await store.domains.certificate(HOST) is None
    renewed = certificate(key=f"tls/{HOST}/fedcba9876543210", not_after=datetime(2026, 7, 1, tzinfo=UTC))
    for one in (certificate(), certificate("a.example.org"), renewed):
        await store.domains.put_certificate(one)
    assert await store.domains.certificate(HOST) == renewed
    assert await store.domains.certificates() == [certificate("a.example.org"), renewed]
    await store.domains.put(domain(plain=True))
    assert await store.domains.certificate(HOST) == renewed, "a change of the domain keeps it"


async def test_challenges_are_put_one_by_one_and_go_together(store: SqlStore) -> None:
    await store.apps.create("shop", GIT)
    for host in (HOST, "a.example.org"):
        await store.domains.put(domain(host))
    foreign = challenge("z", "a.example.org")
    for one in (challenge("b"), foreign, challenge("B"), challenge("b")):
        await store.domains.put_challenge(one)
    assert await store.domains.challenges() == [foreign, challenge("B"), challenge("b")]
    await store.domains.delete_challenges(HOST)
    await store.domains.delete_challenges(HOST)
    assert await store.domains.challenges() == [foreign]


@pytest.mark.parametrize("gone", ["domain", "app"])
async def test_it_goes_with_its_domain_which_goes_with_its_app(store: SqlStore, gone: str) -> None:
    await store.apps.create("shop", GIT)
    await store.domains.put(domain())
    await store.domains.put_certificate(certificate())
    await store.domains.put_challenge(challenge())
    await (store.domains.delete(HOST) if gone == "domain" else store.apps.delete("shop"))
    version = await store.traffic.version()
    assert [*await store.domains.list(), *await store.domains.certificates(), *await store.domains.challenges()] == []
    late = [store.domains.put_certificate(certificate()), store.domains.put_challenge(challenge())]
    for call in late + ([store.domains.put(domain())] if gone == "app" else []):
        with pytest.raises(NotFound) as refusal:
            await call
        assert refusal.value.hint
    assert await store.traffic.version() == version, "what was refused changed nothing"


async def test_every_write_raises_the_version_of_the_traffic_and_no_reading_does(store: SqlStore) -> None:
    await store.apps.create("shop", GIT)
    writes: list[Callable[[], Awaitable[None]]] = [
        lambda: store.domains.put(domain()),
        lambda: store.domains.set_problem(HOST, "?"),
        lambda: store.domains.put_certificate(certificate()),
        lambda: store.domains.put_challenge(challenge()),
        lambda: store.domains.delete_challenges(HOST),
        lambda: store.domains.delete(HOST),
    ]
    for write in writes:
        before = await store.traffic.version()
        await write()
        assert await store.traffic.version() > before
    before = await store.traffic.version()
    assert [*await store.domains.list(), *await store.domains.certificates(), *await store.domains.challenges()] == []
    assert await store.traffic.version() == before


async def test_a_problem_takes_nothing_of_another_change_back(store: SqlStore) -> None:
    await store.apps.create("shop", GIT)
    hosts = [f"a{number}.example.org" for number in range(20)]
    for host in hosts:
        await store.domains.put(domain(host))
    changes = (store.domains.put(domain(host, plain=True)) for host in hosts)
    problems = (store.domains.set_problem(host, "?") for host in hosts)
    await asyncio.gather(*(call for both in zip(changes, problems, strict=True) for call in both))
    assert all(found.plain for found in await store.domains.list())
