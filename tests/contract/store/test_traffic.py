"""What leads traffic to instances."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from iarnet.errors import AlreadyExists, NotFound
from iarnet.models.traffic import Backend, Endpoint, Route, Service
from iarnet.store.sql import SqlStore
from tests.contract.store.values import GIT


def service(component: str = "web", **values: Any) -> Service:
    known = {"app": "shop", "provider_id": "box", "port": 80, "address": "10.210.8.1", "subnet": "10.210.8.0/24"}
    return Service(**{"component": component} | known | values)


def endpoint(component: str = "web", **values: Any) -> Endpoint:
    known = {"app": "shop", "provider_id": "box", "revision": 1, "address": "10.210.8.2"}
    return Endpoint(**{"component": component, "instance": f"iarnet-shop-{component}-r1-0"} | known | values)


def route(id: str = "canary", **values: Any) -> Route:
    known = {"app": "shop", "component": "web", "to": (Backend(component="web", revision=2, weight=10),)}
    return Route(**{"id": id} | known | values)


async def test_an_app_has_the_services_that_were_given_last(store: SqlStore) -> None:
    await store.apps.create("shop", GIT)
    web, api = service("web", host_port=8080), service("api", protocol="grpc")
    dns = (service("dns", port=53, protocol="tcp"), service("dns", port=53, protocol="udp"))
    await store.traffic.serve("shop", "box", [web, *dns, api])
    assert await store.traffic.services() == [api, *dns, web]
    await store.traffic.serve("shop", "box", [web])
    await store.traffic.serve("shop", "box", [web])
    assert await store.traffic.services() == [web]
    await store.traffic.serve("shop", "box", [])
    assert await store.traffic.services() == []


async def test_each_provider_and_each_app_has_its_own_services(store: SqlStore) -> None:
    for app in ("shop", "shop-x"):
        await store.apps.create(app, GIT)
    here, there, other = service(), service(provider_id="cloud"), service(app="shop-x")
    for one in (other, there, here):
        await store.traffic.serve(one.app, one.provider_id, [one])
    assert await store.traffic.services() == sorted([here, there, other], key=lambda s: (s.name, s.provider_id))
    assert await store.traffic.services("shop") == [here, there]
    assert await store.traffic.services(provider_id="cloud") == [there]
    assert await store.traffic.services("shop-x", "cloud") == []
    await store.traffic.serve("shop", "box", [])
    assert await store.traffic.services("shop") == [there]
    assert await store.traffic.services("shop-x") == [other]


async def test_endpoints_go_with_the_last_service_of_their_component(store: SqlStore) -> None:
    for app in ("shop", "other"):
        await store.apps.create(app, GIT)
    web, api, elsewhere = endpoint("web"), endpoint("api"), endpoint("api", provider_id="cloud")
    foreign = endpoint("api", app="other", instance="iarnet-other-api-r1-0")
    for one in (web, api, elsewhere, foreign):
        await store.traffic.put_endpoint(one)
    await store.traffic.serve("shop", "box", [service("web"), service("api")])
    await store.traffic.serve("shop", "box", [service("web", port=81)])
    assert await store.traffic.endpoints() == [foreign, elsewhere, web]
    await store.traffic.serve("shop", "box", [])
    assert await store.traffic.endpoints("shop") == [elsewhere]


async def test_an_endpoint_is_one_per_instance_and_provider(store: SqlStore) -> None:
    await store.apps.create("shop", GIT)
    first, moved = endpoint(), endpoint(provider_id="cloud", address="10.210.9.2")
    await store.traffic.put_endpoint(moved)
    await store.traffic.put_endpoint(first)
    replaced = endpoint(address="10.210.8.3", revision=2, weight=7, state="draining")
    await store.traffic.put_endpoint(replaced)
    assert await store.traffic.endpoints() == [replaced, moved]
    assert await store.traffic.endpoints("shop", "box") == [replaced]
    assert await store.traffic.endpoints("other") == []
    await store.traffic.set_endpoint_state(first.instance, "suspended")
    await store.traffic.set_endpoint_state("nobody", "held")
    await store.traffic.set_endpoint_weight(first.instance, 9)
    await store.traffic.set_endpoint_weight("nobody", 9)
    suspended = [one.model_copy(update={"state": "suspended", "weight": 9}) for one in (replaced, moved)]
    assert await store.traffic.endpoints() == suspended
    await store.traffic.forget_endpoint(first.instance)
    await store.traffic.forget_endpoint(first.instance)
    assert await store.traffic.endpoints() == []


async def test_a_route_is_replaced_by_its_id_and_belongs_to_one_app(store: SqlStore) -> None:
    for app in ("shop", "other"):
        await store.apps.create(app, GIT)
    everything = route(
        port=80,
        hosts=("*.example.org",),
        path="/api",
        headers={"x-user": "ü\x00"},
        cookies={"beta": "1"},
        mirror="shadow",
        timeout_s=1.5,
        retries=0,
    )
    await store.traffic.put_route(route())
    await store.traffic.put_route(everything)
    foreign = route("a", app="other")
    await store.traffic.put_route(foreign)
    assert await store.traffic.routes() == [foreign, everything]
    assert await store.traffic.routes("shop") == [everything]
    with pytest.raises(AlreadyExists, match="canary is taken by a route of shop") as refusal:
        await store.traffic.put_route(route(app="other"))
    assert refusal.value.hint
    assert await store.traffic.routes() == [foreign, everything]
    await store.traffic.delete_route("canary")
    with pytest.raises(NotFound, match="no route canary") as missing:
        await store.traffic.delete_route("canary")
    assert missing.value.hint
    await store.traffic.put_route(route(app="other"))


async def test_it_goes_with_the_app_and_is_not_recorded_of_one_that_is_gone(store: SqlStore) -> None:
    async def write() -> None:
        await store.traffic.serve("shop", "box", [service()])
        await store.traffic.put_endpoint(endpoint())
        await store.traffic.put_route(route())

    await store.apps.create("shop", GIT)
    await write()
    await store.apps.delete("shop")
    version = await store.traffic.version()
    assert await store.traffic.services() == await store.traffic.endpoints() == await store.traffic.routes() == []
    for call in (
        store.traffic.serve("shop", "box", [service()]),
        store.traffic.put_endpoint(endpoint()),
        store.traffic.put_route(route()),
    ):
        with pytest.raises(NotFound) as refusal:
            await call
        assert refusal.value.hint
    assert await store.traffic.version() == version, "what was refused changed nothing"
    await store.traffic.serve("shop", "box", [])
    await store.apps.create("shop", GIT)
    assert await store.traffic.services() == []
    await write()


async def test_every_write_raises_the_version_and_no_reading_does(store: SqlStore) -> None:
    assert await store.traffic.version() == 0
    await store.apps.create("shop", GIT)
    writes: list[Callable[[], Awaitable[None]]] = [
        lambda: store.traffic.serve("shop", "box", [service()]),
        lambda: store.traffic.put_endpoint(endpoint()),
        lambda: store.traffic.set_endpoint_state(endpoint().instance, "held"),
        lambda: store.traffic.set_endpoint_weight(endpoint().instance, 7),
        lambda: store.traffic.forget_endpoint(endpoint().instance),
        lambda: store.traffic.put_route(route()),
        lambda: store.traffic.delete_route("canary"),
        lambda: store.apps.delete("shop"),
    ]
    for write in writes:
        before = await store.traffic.version()
        await write()
        assert await store.traffic.version() > before
    before = await store.traffic.version()
    assert await store.traffic.services() == await store.traffic.endpoints() == await store.traffic.routes() == []
    assert await store.traffic.version() == before


async def test_writes_at_once_are_all_counted(store: SqlStore) -> None:
    apps = [f"app{number}" for number in range(4)]

    async def live(app: str) -> None:
        await store.apps.create(app, GIT)
        await store.traffic.serve(app, "box", [service(app=app), service("api", app=app)])
        await asyncio.gather(
            *(store.traffic.put_endpoint(endpoint(app=app, instance=f"{app}-{replica}")) for replica in range(4)),
            store.traffic.serve(app, "box", [service(app=app)]),
        )

    await asyncio.gather(*(live(app) for app in apps))
    assert await store.traffic.version() == len(apps) * 6
    assert len(await store.traffic.endpoints()) == len(apps) * 4
    assert [one.name for one in await store.traffic.services()] == [f"{app}/web/80/tcp" for app in apps]
    await asyncio.gather(*(store.apps.delete(app) for app in apps))
    assert await store.traffic.version() == len(apps) * 7
    assert await store.traffic.endpoints() == []


async def test_changes_of_one_thing_take_nothing_of_another_change_back(store: SqlStore) -> None:
    await store.apps.create("shop", GIT)
    names = [f"iarnet-shop-web-r1-{replica}" for replica in range(40)]
    for name in names:
        await store.traffic.put_endpoint(endpoint(instance=name))
    moved = (store.traffic.put_endpoint(endpoint(instance=name, address="10.210.8.9")) for name in names)
    ending = (store.traffic.set_endpoint_state(name, "draining") for name in names)
    await asyncio.gather(*(call for both in zip(moved, ending, strict=True) for call in both))
    assert {one.address for one in await store.traffic.endpoints()} == {"10.210.8.9"}
    shared = (store.traffic.set_endpoint_weight(name, 7) for name in names)
    ending = (store.traffic.set_endpoint_state(name, "suspended") for name in names)
    await asyncio.gather(*(call for both in zip(shared, ending, strict=True) for call in both))
    assert {(one.state, one.weight) for one in await store.traffic.endpoints()} == {("suspended", 7)}
