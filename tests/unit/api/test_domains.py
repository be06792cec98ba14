"""Domains: what is refused leaves nothing behind, what is accepted says how far it is."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api.services import Services
from iarnet.errors import GatewayRefused
from iarnet.models.domains import Certificate, Domain
from tests.signing import Signer
from tests.unit.api.recording import RecordingGateway

V1 = "/api/v1/communication/domains"
SIGNER = Signer()
HOST = "shop.example.org"
pytestmark = pytest.mark.usefixtures("shop")


def body(**changed: Any) -> dict[str, Any]:
    return {"host": HOST, "app": "shop", "component": "web", "certificate": "none"} | changed


def given(*hosts: str, **values: int) -> dict[str, Any]:
    chain, key = SIGNER.sign(*(hosts or (HOST,)), **values)
    return {"certificate": "given", "chain": chain, "key": key}


async def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    problem: dict[str, Any] = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code), answer.text
    assert problem["detail"]
    assert problem["hint"]
    return problem


@pytest.mark.parametrize("base", [V1, "/communication/domains"])
async def test_a_domain_comes_changes_and_goes(client: httpx.AsyncClient, shop: Services, base: str) -> None:
    made = await client.post(base, json=body(host="Shop.Example.org."))
    assert made.status_code == 201, made.text
    expected = {"host": HOST, "app": "shop", "component": "web", "port": 80, "certificate": "none", "plain": False}
    expected |= {"redirect_to": None, "url": "http://shop.example.org", "state": "ready", "problem": ""}
    expected |= {"warning": "", "issuer": "", "not_before": None, "not_after": None}
    assert made.json() == expected
    assert (await client.get(base, params={"app": "shop"})).json() == {"domains": [expected]}
    changed = await client.put(f"{base}/{HOST}", json={k: v for k, v in body(plain=True).items() if k != "host"})
    assert (changed.status_code, changed.json()) == (200, expected | {"plain": True})
    assert (await client.delete(f"{base}/{HOST}")).status_code == 204
    assert await shop.store.domains.list() == []
    await refused(await client.delete(f"{base}/{HOST}"), 404, "NotFound")


@pytest.mark.parametrize(
    ("changed", "status", "code", "where"),
    [
        ({"host": "no host"}, 400, "InvalidInput", "host"),
        ({"host": "192.0.2.7"}, 400, "InvalidInput", "host"),
        ({"host": "*.*.example.org"}, 400, "InvalidInput", "host"),
        ({"app": "nothing"}, 404, "NotFound", "nothing"),
        ({"component": "wed"}, 400, "InvalidComponent", "component"),
        ({"component": "db"}, 400, "InvalidComponent", "component"),
        ({"port": 81}, 400, "InvalidComponent", "component"),
        ({"certificate": "given"}, 400, "InvalidInput", "chain"),
        ({"certificate": "given", "chain": "x"}, 400, "InvalidInput", "key"),
        ({"certificate": "own", "chain": "x", "key": "y"}, 400, "InvalidInput", "certificate"),
        ({"certificate": "given", "chain": "x", "key": "y"}, 422, "InvalidCertificate", "chain"),
        ({"host": "*.example.org", "certificate": "acme"}, 400, "InvalidInput", "certificate"),
        ({"redirect_to": HOST}, 400, "InvalidInput", "redirect_to"),
        ({"redirect_to": "*.example.org"}, 400, "InvalidInput", "redirect_to"),
        ({"host": "*.example.org", "redirect_to": "a.example.org"}, 400, "InvalidInput", "redirect_to"),
    ],
)
async def test_a_refusal_leaves_nothing(
    client: httpx.AsyncClient, shop: Services, changed: dict[str, Any], status: int, code: str, where: str
) -> None:
    problem = await refused(await client.post(V1, json=body(**changed)), status, code)
    assert where in problem["where"]
    assert await shop.store.domains.list() == []
    assert await shop.secrets.names("tls") == []


@pytest.mark.parametrize(
    ("pair", "says"),
    [
        (lambda: given("www.example.org"), "www.example.org"),
        (lambda: given(days=-1), "expired"),
        (lambda: given(begins_in_days=1), "not yet"),
        (lambda: given() | {"key": SIGNER.sign(HOST)[1]}, "does not belong"),
    ],
)
async def test_a_certificate_that_does_not_match_is_refused(
    client: httpx.AsyncClient, shop: Services, pair: Callable[[], dict[str, Any]], says: str
) -> None:
    problem = await refused(await client.post(V1, json=body(**pair())), 422, "InvalidCertificate")
    assert says in problem["detail"]
    assert await shop.store.domains.list() == []
    assert await shop.secrets.names("tls") == []


async def test_nobody_is_sent_in_circles(client: httpx.AsyncClient) -> None:
    for host, to in (("a.example.org", "b.example.org"), ("b.example.org", "c.example.org")):
        assert (await client.post(V1, json=body(host=host, redirect_to=to))).status_code == 201
    again = await client.post(V1, json=body(host="c.example.org", redirect_to="a.example.org"))
    assert "would lead to itself" in (await refused(again, 400, "InvalidInput"))["detail"]


async def test_two_apps_can_not_have_one_name(client: httpx.AsyncClient, shop: Services) -> None:
    assert (await client.post(V1, json=body())).status_code == 201
    problem = await refused(await client.post(V1, json=body()), 409, "AlreadyExists")
    assert "web of shop" in problem["detail"]
    assert f"PUT {V1}/{HOST}" in problem["hint"]


async def test_what_the_gateway_refuses_is_taken_back(client: httpx.AsyncClient, shop: Services) -> None:
    assert isinstance(shop.gateway, RecordingGateway)
    assert (await client.post(V1, json=body())).status_code == 201
    shop.gateway.down = GatewayRefused("the port is held", where="gateway.http_port", hint="set another")
    await refused(
        await client.post(V1, json=body(host="b.example.org", **given("b.example.org"))), 422, "GatewayRefused"
    )
    changed = {k: v for k, v in body(plain=True).items() if k != "host"}
    await refused(await client.put(f"{V1}/{HOST}", json=changed), 422, "GatewayRefused")
    await refused(await client.delete(f"{V1}/{HOST}"), 422, "GatewayRefused")
    assert await shop.store.domains.list() == [
        Domain(host=HOST, app="shop", component="web", port=80, certificate="none")
    ]
    assert await shop.secrets.names("tls") == []


async def test_without_a_gateway_there_are_no_names(app: FastAPI, client: httpx.AsyncClient, shop: Services) -> None:
    app.state.services = replace(shop, gateway=None)
    assert (await client.get(V1)).json() == {"domains": []}
    await refused(await client.post(V1, json=body()), 503, "Missing")


@pytest.mark.parametrize(
    ("domain", "days", "closed", "state", "problem", "warning"),
    [
        ({}, None, {}, "waiting", "", ""),
        ({"problem": "no answer"}, None, {}, "failed", "no answer", ""),
        ({}, 90, {}, "ready", "", ""),
        ({"problem": "no answer"}, 20, {}, "ready", "", "no answer"),
        ({"problem": "no answer"}, -1, {}, "failed", "no answer", ""),
        ({"certificate": "given"}, 10, {}, "ready", "", "give a new one"),
        ({"certificate": "given"}, -1, {}, "failed", "ended at", ""),
        ({}, 90, {443: "it is held"}, "failed", "it is held", ""),
        ({"certificate": "none"}, None, {443: "it is held"}, "ready", "", ""),
        ({"certificate": "none"}, None, {80: "it is held"}, "failed", "it is held", ""),
    ],
)
async def test_a_listing_says_how_far_it_is(
    client: httpx.AsyncClient,
    shop: Services,
    domain: dict[str, Any],
    days: int | None,
    closed: dict[int, str],
    state: str,
    problem: str,
    warning: str,
) -> None:
    assert isinstance(shop.gateway, RecordingGateway)
    shop.gateway.closed = closed
    await shop.store.domains.put(Domain(**{"host": HOST, "app": "shop", "component": "web"} | domain))
    if days is not None:
        end = datetime.now(UTC) + timedelta(days=days)
        certificate = Certificate(
            host=HOST, chain="", key="", not_before=end - timedelta(days=100), not_after=end, issuer="CN=x"
        )
        await shop.store.domains.put_certificate(certificate)
    found = (await client.get(V1)).json()["domains"][0]
    assert (found["state"], problem in found["problem"], warning in found["warning"]) == (state, True, True)
    assert (bool(found["problem"]), bool(found["warning"])) == (bool(problem), bool(warning))


@pytest.mark.parametrize(("why", "state"), [("", "waiting"), ("its certificate can't be used: x", "failed")])
async def test_a_name_is_ready_when_the_gateway_uses_its_certificate(
    client: httpx.AsyncClient, shop: Services, why: str, state: str
) -> None:
    assert isinstance(shop.gateway, RecordingGateway)
    await shop.store.domains.put(Domain(host=HOST, app="shop", component="web"))
    end = datetime.now(UTC) + timedelta(days=50)
    await shop.store.domains.put_certificate(
        Certificate(host=HOST, chain="", key="", not_before=end, not_after=end, issuer="CN=x")
    )
    shop.gateway.unused = {HOST: why}
    found = (await client.get(V1)).json()["domains"][0]
    assert (found["state"], found["problem"]) == (state, why)
    shop.gateway.unused = {}
    assert (await client.get(V1)).json()["domains"][0]["state"] == "ready"
