"""Endpoints and routes: what is refused leaves nothing behind, what is accepted has been taken over."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from api.app import create_app
from api.services import Services
from iarnet.errors import GatewayUnavailable
from iarnet.models.component import Component, Ejection, Limits, Port
from iarnet.models.traffic import Backend, Breaker, Endpoint, EndpointLoad, Route, Service
from tests.unit.api.conftest import BASE, COMMIT, TOKEN
from tests.unit.api.recording import RecordingGateway

V1 = "/api/v1/communication"
OURS, OLD = "iarnet-shop-web-r2-0", "iarnet-shop-web-r1-0"
OUTSIDE = "external-shop-web-192-0-2-7"
CANARY = {"app": "shop", "component": "web", "path": "/beta", "to": [{"component": "web", "revision": 2}]}
pytestmark = pytest.mark.usefixtures("served")


@pytest.fixture
async def served(shop: Services) -> Services:
    """`web` is published and has an instance of each revision, `db` has one."""
    place = {"app": "shop", "provider_id": "memory", "address": "10.210.8.1", "subnet": "10.210.8.0/24"}
    web = Service(component="web", port=80, host_port=20000, **place)
    db = Service(component="db", port=5432, protocol="tcp", **place)
    await shop.store.traffic.serve("shop", "memory", [web, db])
    for number, name in ((3, OURS), (2, OLD)):
        revision = 2 if name == OURS else 1
        await shop.store.traffic.put_endpoint(endpoint(name, "web", f"10.210.8.{number}", revision=revision))
    await shop.store.traffic.put_endpoint(endpoint("iarnet-shop-db-r2-0", "db", "10.210.8.4"))
    return shop


@pytest.fixture
def gateway(shop: Services) -> RecordingGateway:
    assert isinstance(shop.gateway, RecordingGateway)
    return shop.gateway


def endpoint(instance: str, component: str, address: str, revision: int = 2) -> Endpoint:
    return Endpoint(
        app="shop",
        component=component,
        instance=instance,
        provider_id="memory",
        revision=revision,
        address=address,
    )


def route(**changed: Any) -> dict[str, Any]:
    return CANARY | changed


async def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    problem: dict[str, Any] = answer.json()
    assert problem["detail"]
    assert problem["where"]
    assert problem["hint"] or code == "GatewayRefused"
    return problem


async def stored(services: Services) -> tuple[list[Route], list[Endpoint]]:
    return await services.store.traffic.routes(), await services.store.traffic.endpoints()


@pytest.mark.parametrize(
    ("body", "status", "code", "told"),
    [
        (route(app="absent"), 404, "NotFound", "absent"),
        (route(component="wed"), 400, "InvalidComponent", "did you mean 'web'?"),
        (route(to=[{"component": "wep"}]), 400, "InvalidComponent", "did you mean 'web'?"),
        (route(mirror="weby"), 400, "InvalidComponent", "did you mean 'web'?"),
        (route(port=81), 400, "InvalidComponent", "name port 80"),
        (route(to=[{"component": "web", "port": 81}]), 400, "InvalidComponent", "name port 80"),
        (route(component="db"), 400, "InvalidComponent", "5432 speaks tcp"),
        (route(to=[{"component": "db"}]), 400, "InvalidComponent", "5432 speaks tcp"),
        (route(mirror="db"), 400, "InvalidComponent", "5432 speaks tcp"),
        (route(to=[{"component": "web", "weight": 0}]), 400, "InvalidInput", "add up to 0"),
        (route(to=[{"component": "web", "revision": 9}]), 409, "Conflict", "there is 1, 2"),
        (route(to=[]), 400, "InvalidInput", "to"),
        (route(path="orders"), 400, "InvalidInput", "path"),
        (route(path="/a?b=c"), 400, "InvalidInput", "path"),
        (route(path="/a b"), 400, "InvalidInput", "path"),
        (route(path="/\u0000"), 400, "InvalidInput", "path"),
        (route(hosts=["Shop Example"]), 400, "InvalidInput", "hosts"),
        (route(headers={":path": "/"}), 400, "InvalidInput", "headers"),
        (route(headers={"x-a": "b\r\nx-c: d"}), 400, "InvalidInput", "headers"),
        (route(cookies={"a": "b; c=d"}), 400, "InvalidInput", "cookies"),
        (route(timeout_s=1e-9), 400, "InvalidInput", "timeout_s"),
        (route(timeout_s=0), 400, "InvalidInput", "timeout_s"),
        (route(retries=99), 400, "InvalidInput", "retries"),
        (route(id="shop/web/80/tcp"), 400, "InvalidInput", "id"),
        (route(id="Beta"), 400, "InvalidInput", "id"),
        (route(derived=True), 400, "InvalidInput", "derived"),
    ],
)
async def test_a_route_that_can_not_be_is_refused_and_leaves_nothing(
    client: httpx.AsyncClient, shop: Services, body: dict[str, Any], status: int, code: str, told: str
) -> None:
    version = await shop.store.traffic.version()
    problem = await refused(await client.post(f"{V1}/routes", json=body), status, code)
    assert told in f"{problem['detail']} {problem['where']} {problem['hint']}"
    assert await shop.store.traffic.version() == version


async def test_an_id_is_taken_once(client: httpx.AsyncClient) -> None:
    assert (await client.post(f"{V1}/routes", json=route(id="beta"))).status_code == 201
    again = await client.post(f"{V1}/routes", json=route(id="beta", path="/other"))
    assert "PUT /api/v1/communication/routes/beta" in (await refused(again, 409, "AlreadyExists"))["hint"]


async def test_of_two_at_once_with_one_id_one_wins(client: httpx.AsyncClient, shop: Services) -> None:
    bodies = [route(id="beta", path=f"/{number}") for number in range(8)]
    answers = await asyncio.gather(*(client.post(f"{V1}/routes", json=body) for body in bodies))
    good = [answer.json() for answer in answers if answer.status_code == 201]
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7
    assert [r.path for r in await shop.store.traffic.routes()] == [good[0]["path"]]


@pytest.mark.parametrize(
    ("other", "twins"),
    [
        ({}, True),
        ({"path": "/beta/"}, True),
        ({"port": 80}, True),
        ({"hosts": ["a.example", "c.example"]}, True),
        ({"headers": {"X-Beta": "yes"}}, True),
        ({"to": [{"component": "web"}]}, True),
        ({"path": "/betas"}, False),
        ({"hosts": ["c.example"]}, False),
        ({"headers": {"x-beta": "no"}}, False),
        ({"headers": {}}, False),
        ({"cookies": {"group": "b"}}, False),
    ],
)
async def test_two_routes_for_the_same_requests_are_a_conflict(
    client: httpx.AsyncClient, other: dict[str, Any], twins: bool
) -> None:
    first = route(id="beta", hosts=["a.example", "b.example"], headers={"x-beta": "yes"})
    assert (await client.post(f"{V1}/routes", json=first)).status_code == 201
    answer = await client.post(f"{V1}/routes", json=first | {"id": "other"} | other)
    if not twins:
        assert answer.status_code == 201, answer.text
        return
    assert (await refused(answer, 409, "Conflict"))["where"] == "beta"


async def test_a_route_is_added_changed_and_removed_and_takes_effect_each_time(
    client: httpx.AsyncClient, gateway: RecordingGateway
) -> None:
    both = [{"component": "web", "revision": 1, "weight": 90}, {"component": "web", "revision": 2, "weight": 10}]
    body = route(to=both, timeout_s=5, mirror="web", hosts=["shop.example"], headers={"x-beta": "yes"})
    added = await client.post(f"{V1}/routes", json=body)
    assert added.status_code == 201
    assert added.json() == {
        "id": "shop-web-beta",
        "app": "shop",
        "component": "web",
        "port": 80,
        "protocol": "http",
        "derived": False,
        "hosts": ["shop.example"],
        "path": "/beta",
        "headers": {"x-beta": "yes"},
        "cookies": {},
        "to": [
            {"component": "web", "port": 80, "revision": 1, "weight": 90},
            {"component": "web", "port": 80, "revision": 2, "weight": 10},
        ],
        "mirror": "web",
        "timeout_s": 5.0,
        "retries": None,
        "provider_id": "memory",
        "inside": "web:80",
        "listens": "10.210.8.1:80",
        "published": "localhost:20000",
        "limits": None,
        "ejection": None,
        "full": [],
        "refused_total": None,
        "notes": [],
    }
    assert [(r.id, [b.weight for b in r.to]) for r in gateway.routes] == [("shop-web-beta", [90, 10])]
    changed = await client.put(f"{V1}/routes/shop-web-beta", json=route(path="/gamma"))
    assert (changed.status_code, changed.json()["path"], changed.json()["mirror"]) == (200, "/gamma", None)
    assert [r.path for r in gateway.routes] == ["/gamma"]
    listed = (await client.get(f"{V1}/routes")).json()["routes"]
    assert [r for r in listed if not r["derived"]] == [changed.json()]
    assert (await client.delete(f"{V1}/routes/shop-web-beta")).status_code == 204
    assert gateway.routes == []
    await refused(await client.delete(f"{V1}/routes/shop-web-beta"), 404, "NotFound")


async def test_each_route_without_an_id_gets_one(client: httpx.AsyncClient) -> None:
    bodies = [route(), route(hosts=["a.example"]), route(path="/" + "x" * 100)]
    ids = [(await client.post(f"{V1}/routes", json=body)).json()["id"] for body in bodies]
    assert ids == ["shop-web-beta", "shop-web-beta-2", "shop-web-" + "x" * 31]


async def test_a_route_stays_what_it_is_when_its_change_is_refused(
    client: httpx.AsyncClient, shop: Services, gateway: RecordingGateway
) -> None:
    assert (await client.post(f"{V1}/routes", json=route(id="beta"))).status_code == 201
    before = await stored(shop)
    await refused(await client.put(f"{V1}/routes/absent", json=route()), 404, "NotFound")
    await refused(await client.put(f"{V1}/routes/beta", json=route(component="wed")), 400, "InvalidComponent")
    await shop.store.apps.create("other", (await shop.store.apps.get("shop")).git, "")
    await refused(await client.put(f"{V1}/routes/beta", json=route(app="other")), 400, "InvalidInput")
    assert await stored(shop) == before
    assert gateway.routes == before[0]


def _no_gamma(value: Route | Endpoint) -> bool:
    return isinstance(value, Route) and value.path == "/gamma"


def _not_alone(value: Route | Endpoint) -> bool:
    return isinstance(value, Endpoint) and value.instance in (OURS, OUTSIDE) and value.weight != 100


@pytest.mark.parametrize(
    ("refuses", "method", "path", "body"),
    [
        (_no_gamma, "POST", "routes", route(path="/gamma")),
        (_no_gamma, "PUT", "routes/beta", route(path="/gamma")),
        (_not_alone, "PUT", f"endpoints/{OURS}", {"weight": 7}),
        (_not_alone, "POST", "endpoints", {"app": "shop", "component": "web", "address": "192.0.2.7", "weight": 7}),
    ],
)
async def test_what_the_gateway_refuses_is_taken_back(
    client: httpx.AsyncClient,
    shop: Services,
    gateway: RecordingGateway,
    refuses: Callable[[Route | Endpoint], bool],
    method: str,
    path: str,
    body: dict[str, Any],
) -> None:
    assert (await client.post(f"{V1}/routes", json=route(id="beta"))).status_code == 201
    before = await stored(shop)
    gateway.refuses = refuses
    await refused(await client.request(method, f"{V1}/{path}", json=body), 422, "GatewayRefused")
    assert await stored(shop) == before
    assert (gateway.routes, gateway.endpoints) == before
    gateway.refuses = lambda value: False
    assert (await client.request(method, f"{V1}/{path}", json=body)).status_code < 300
    assert (gateway.routes, gateway.endpoints) == await stored(shop) != before


async def test_what_does_not_take_effect_is_not_there_either(
    client: httpx.AsyncClient, shop: Services, gateway: RecordingGateway
) -> None:
    assert (await client.post(f"{V1}/routes", json=route(id="beta"))).status_code == 201
    outside = {"app": "shop", "component": "web", "address": "192.0.2.7"}
    assert (await client.post(f"{V1}/endpoints", json=outside)).json()["revision"] is None
    before = await stored(shop)
    gateway.down = GatewayUnavailable("it does not answer", where="envoy", hint="try again")
    await refused(await client.post(f"{V1}/routes", json=route(path="/x")), 503, "GatewayUnavailable")
    await refused(await client.delete(f"{V1}/routes/beta"), 503, "GatewayUnavailable")
    await refused(await client.put(f"{V1}/endpoints/{OURS}", json={"weight": 1}), 503, "GatewayUnavailable")
    await refused(await client.delete(f"{V1}/endpoints/{OUTSIDE}"), 503, "GatewayUnavailable")
    assert await stored(shop) == before


async def test_without_a_gateway_nothing_is_led_and_everything_can_be_looked_at(shop: Services) -> None:
    app = create_app(replace(shop, gateway=None))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    before = await stored(shop)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE, headers=headers) as client:
        await refused(await client.post(f"{V1}/routes", json=route()), 503, "Missing")
        await refused(await client.put(f"{V1}/endpoints/{OURS}", json={"weight": 1}), 503, "Missing")
        found = (await client.get(f"{V1}/endpoints")).json()
        assert len((await client.get(f"{V1}/routes")).json()["routes"]) == 2
    assert (found["problem"], len(found["endpoints"])) == ("no gateway runs on this node", 3)
    assert await stored(shop) == before


async def test_what_deployments_lead_is_listed_as_derived_and_stays(
    client: httpx.AsyncClient, shop: Services
) -> None:
    found = (await client.get(f"{V1}/routes", params={"app": "shop"})).json()["routes"]
    told = [(r["id"], r["derived"], r["protocol"], r["inside"], r["listens"], r["published"]) for r in found]
    assert told == [
        ("shop/db/5432/tcp", True, "tcp", "db:5432", "10.210.8.1:5432", ""),
        ("shop/web/80/tcp", True, "http", "web:80", "10.210.8.1:80", "localhost:20000"),
    ]
    before = await stored(shop)
    path = f"{V1}/routes/shop%2Fweb%2F80%2Ftcp"
    assert (await refused(await client.delete(path), 409, "Conflict"))["where"] == "shop/web/80/tcp"
    await refused(await client.put(path, json=route()), 409, "Conflict")
    assert await stored(shop) == before


async def test_a_route_says_what_of_it_is_left_out(client: httpx.AsyncClient, shop: Services) -> None:
    both = [{"component": "web", "revision": 1, "weight": 90}, {"component": "web", "revision": 2, "weight": 10}]
    assert (await client.post(f"{V1}/routes", json=route(id="beta", to=both))).json()["notes"] == []
    await shop.store.traffic.set_endpoint_state(OURS, "draining")
    listed = (await client.get(f"{V1}/routes")).json()["routes"]
    told = "nobody takes HTTP requests to web:80@r2: the others take its share"
    assert {r["id"]: r["notes"] for r in listed if r["notes"]} == {"beta": [told]}
    await shop.store.traffic.serve("shop", "memory", [])
    [stopped] = (await client.get(f"{V1}/routes")).json()["routes"]
    assert (stopped["inside"], stopped["notes"]) == ("", [])


async def test_limits_are_shown_with_what_they_do(
    client: httpx.AsyncClient, shop: Services, gateway: RecordingGateway
) -> None:
    services = await shop.store.traffic.services("shop")
    bounds = {"limits": Limits(requests=9), "ejection": Ejection()}
    await shop.store.traffic.serve("shop", "memory", [service.model_copy(update=bounds) for service in services])
    gateway.full = [Breaker(service="shop/web/80/tcp", full=("requests",), refused_total=3)]
    gateway.busy = [EndpointLoad(instance=OURS, healthy=False, ejected=True)]
    db, web = (await client.get(f"{V1}/routes")).json()["routes"]
    assert (web["limits"]["requests"], web["full"], web["refused_total"]) == (9, ["requests"], 3)
    assert (db["limits"]["requests"], db["full"], db["refused_total"]) == (9, [], None)
    assert web["ejection"] == {"after": 5, "for_s": 30.0, "percent": 50}
    endpoints = {e["instance"]: e["health"] for e in (await client.get(f"{V1}/endpoints")).json()["endpoints"]}
    assert (endpoints[OURS], endpoints[OLD]) == ("ejected", "unknown")
    gateway.down = GatewayUnavailable("it does not answer", where="envoy", hint="try again")
    assert (await client.get(f"{V1}/routes")).json()["routes"][1] == web | {"full": [], "refused_total": None}


async def test_endpoints_say_what_they_are_and_what_they_do(
    client: httpx.AsyncClient, shop: Services, gateway: RecordingGateway
) -> None:
    await shop.store.traffic.set_endpoint_state(OLD, "suspended")
    gateway.busy = [
        EndpointLoad(instance=OURS, connections=3, requests=2, requests_total=100, errors_total=1),
        EndpointLoad(instance=OLD, healthy=False),
    ]
    found = (await client.get(f"{V1}/endpoints", params={"app": "shop"})).json()
    assert found["problem"] == ""
    by_name = {e["instance"]: e for e in found["endpoints"]}
    assert by_name[OURS] == {
        "instance": OURS,
        "app": "shop",
        "component": "web",
        "provider_id": "memory",
        "revision": 2,
        "address": "10.210.8.3",
        "ports": [{"port": 80, "protocol": "http"}],
        "weight": 100,
        "state": "active",
        "health": "healthy",
        "external": False,
        "load": {
            "instance": OURS,
            "connections": 3,
            "requests": 2,
            "requests_total": 100,
            "errors_total": 1,
            "healthy": True,
            "ejected": False,
        },
    }
    assert (by_name[OLD]["state"], by_name[OLD]["health"]) == ("suspended", "unhealthy")
    assert by_name["iarnet-shop-db-r2-0"] | {"health": "unknown", "load": None} == by_name["iarnet-shop-db-r2-0"]


async def test_a_gateway_that_does_not_answer_hides_no_endpoint(
    client: httpx.AsyncClient, gateway: RecordingGateway
) -> None:
    gateway.down = GatewayUnavailable("it does not answer")
    found = (await client.get(f"{V1}/endpoints")).json()
    assert (found["problem"], {e["health"] for e in found["endpoints"]}) == ("it does not answer", {"unknown"})


async def test_an_app_that_is_not_there_is_not_found(client: httpx.AsyncClient) -> None:
    for what in ("routes", "endpoints"):
        answer = await client.get(f"{V1}/{what}", params={"app": "absent"})
        assert (answer.status_code, answer.json()["code"]) == (404, "NotFound")


@pytest.mark.parametrize("body", [{}, {"weight": 0}, {"weight": 10_001}, {"weight": 5, "state": "draining"}])
async def test_only_the_share_of_an_endpoint_can_be_changed(
    client: httpx.AsyncClient, shop: Services, body: dict[str, Any]
) -> None:
    before = await stored(shop)
    await refused(await client.put(f"{V1}/endpoints/{OURS}", json=body), 400, "InvalidInput")
    assert await stored(shop) == before


async def test_a_share_is_changed_and_takes_effect(
    client: httpx.AsyncClient, shop: Services, gateway: RecordingGateway
) -> None:
    await shop.store.traffic.set_endpoint_state(OURS, "draining")
    await refused(await client.put(f"{V1}/endpoints/absent", json={"weight": 5}), 404, "NotFound")
    changed = await client.put(f"{V1}/endpoints/{OURS}", json={"weight": 5})
    assert (changed.status_code, changed.json()["weight"], changed.json()["state"]) == (200, 5, "draining")
    assert {e.instance: e.weight for e in gateway.endpoints} == {OURS: 5, OLD: 100, "iarnet-shop-db-r2-0": 100}


@pytest.mark.parametrize(
    ("changed", "status", "code"),
    [
        ({"app": "absent"}, 404, "NotFound"),
        ({"component": "wed"}, 400, "InvalidComponent"),
        ({"address": "localhost"}, 400, "InvalidInput"),
        ({"address": "127.0.0.1"}, 400, "InvalidInput"),
        ({"address": "::1"}, 400, "InvalidInput"),
        ({"address": "::ffff:127.0.0.1"}, 400, "InvalidInput"),
        ({"address": "2001:db8::7%eth0"}, 400, "InvalidInput"),
        ({"address": "0.0.0.0"}, 400, "InvalidInput"),
        ({"address": "169.254.169.254"}, 400, "InvalidInput"),
        ({"address": "224.0.0.1"}, 400, "InvalidInput"),
        ({"address": "10.210.8.1"}, 400, "InvalidInput"),
        ({"address": "10.210.8.77"}, 400, "InvalidInput"),
        ({"address": "192.0.2.7/24"}, 400, "InvalidInput"),
        ({"weight": 0}, 400, "InvalidInput"),
    ],
)
async def test_no_endpoint_leads_back_inside(
    client: httpx.AsyncClient, shop: Services, changed: dict[str, Any], status: int, code: str
) -> None:
    before = await stored(shop)
    body = {"app": "shop", "component": "web", "address": "192.0.2.7"} | changed
    await refused(await client.post(f"{V1}/endpoints", json=body), status, code)
    assert await stored(shop) == before


async def test_a_server_outside_takes_part_until_it_is_removed(
    client: httpx.AsyncClient, shop: Services, gateway: RecordingGateway
) -> None:
    body = {"app": "shop", "component": "web", "address": "192.0.2.7", "weight": 50}
    added = await client.post(f"{V1}/endpoints", json=body)
    assert added.status_code == 201
    found = added.json()
    assert (found["instance"], found["external"], found["state"], found["weight"]) == (OUTSIDE, True, "active", 50)
    assert found["ports"] == [{"port": 80, "protocol": "http"}]
    assert OUTSIDE in [e.instance for e in gateway.endpoints]
    assert (await refused(await client.post(f"{V1}/endpoints", json=body), 409, "AlreadyExists"))["where"] == OUTSIDE
    listed = (await client.get(f"{V1}/endpoints")).json()["endpoints"]
    assert [e["instance"] for e in listed if e["external"]] == [OUTSIDE]
    assert (await client.delete(f"{V1}/endpoints/{OUTSIDE}?within_s=2")).status_code == 204
    assert gateway.drained == [(OUTSIDE, 2.0)]
    assert OUTSIDE not in [e.instance for e in (await stored(shop))[1]]
    await refused(await client.delete(f"{V1}/endpoints/{OUTSIDE}"), 404, "NotFound")


async def test_an_address_of_either_family_is_an_endpoint(client: httpx.AsyncClient) -> None:
    body = {"app": "shop", "component": "web", "address": "2001:db8::7"}
    added = (await client.post(f"{V1}/endpoints", json=body)).json()
    assert added["address"] == "2001:db8::7"
    assert added["instance"] == "external-shop-web-2001-0db8-0000-0000-0000-0000-0000-0007"


async def test_what_a_deployment_owns_is_not_removed(client: httpx.AsyncClient, gateway: RecordingGateway) -> None:
    await refused(await client.delete(f"{V1}/endpoints/{OURS}"), 409, "Conflict")
    assert gateway.drained == []


async def test_a_component_that_is_not_served_takes_no_endpoint(client: httpx.AsyncClient, shop: Services) -> None:
    await shop.store.traffic.serve("shop", "memory", [])
    body = {"app": "shop", "component": "web", "address": "192.0.2.7"}
    await refused(await client.post(f"{V1}/endpoints", json=body), 409, "Conflict")


async def test_an_app_without_components_takes_no_route(client: httpx.AsyncClient, shop: Services) -> None:
    await shop.store.apps.create("new", (await shop.store.apps.get("shop")).git, "")
    await refused(await client.post(f"{V1}/routes", json=route(app="new")), 409, "Conflict")


async def test_a_route_of_an_app_that_is_stopped_has_no_place(client: httpx.AsyncClient, shop: Services) -> None:
    to = (Backend(component="web", port=80),)
    await shop.store.traffic.put_route(Route(id="beta", app="shop", component="web", port=80, to=to))
    await shop.store.traffic.serve("shop", "memory", [])
    found = (await client.get(f"{V1}/routes")).json()["routes"]
    assert [(r["id"], r["protocol"], r["inside"], r["published"]) for r in found] == [("beta", None, "", "")]


async def test_an_app_answers_where_the_gateway_publishes_it(client: httpx.AsyncClient, shop: Services) -> None:
    found = (await client.get("/api/v1/apps/shop")).json()
    assert found["components"][0]["addresses"] == ["http://localhost:32768", "http://localhost:20000"]
    shop.providers.get("memory").end(OURS, exit_code=1)  # type: ignore[attr-defined]
    ended = [i for i in await shop.providers.get("memory").instances("here") if i.name == OURS]
    await shop.store.instances.record(ended[0])
    assert (await client.get("/api/v1/apps/shop")).json()["addresses"] == {}


async def test_the_first_port_that_can_be_routed_is_meant(client: httpx.AsyncClient, shop: Services) -> None:
    ports = (Port(port=5000, protocol="tcp"), Port(port=8080), Port(port=3000, protocol="grpc"))
    revision = await shop.store.facts.revision("shop", 2)
    assert revision
    many = Component(name="many", kind="api", image="many", ports=ports)
    changed = revision.model_copy(update={"number": 3, "components": (many,)})
    await shop.store.facts.save_revision(changed)
    app = await shop.store.apps.get("shop")
    await shop.store.apps.set_running("shop", 3, COMMIT, app.epoch)
    body = route(component="many", to=[{"component": "many"}, {"component": "many", "port": 3000}], mirror="many")
    found = (await client.post(f"{V1}/routes", json=body)).json()
    assert (found["port"], [b["port"] for b in found["to"]]) == (8080, [8080, 3000])
    problem = await refused(await client.post(f"{V1}/routes", json=body | {"port": 5000}), 400, "InvalidComponent")
    assert problem["hint"] == "name port 8080, 3000"


async def test_the_documented_routes_do_the_same(client: httpx.AsyncClient, gateway: RecordingGateway) -> None:
    added = await client.post("/communication/routes", json=route(id="beta"))
    assert added.status_code == 201
    changed = await client.put("/communication/routes/beta", json=route(path="/gamma"))
    assert changed.status_code == 200
    for what in ("routes", "endpoints"):
        documented = (await client.get(f"/communication/{what}")).json()
        assert documented == (await client.get(f"{V1}/{what}")).json()
    assert (await client.delete("/communication/routes/beta")).status_code == 204
    assert gateway.routes == []
    assert (await client.put(f"/communication/endpoints/{OURS}", json={"weight": 3})).json()["weight"] == 3
    body = {"app": "shop", "component": "web", "address": "192.0.2.7"}
    assert (await client.post("/communication/endpoints", json=body)).status_code == 201
    assert (await client.delete(f"/communication/endpoints/{OUTSIDE}")).status_code == 204
