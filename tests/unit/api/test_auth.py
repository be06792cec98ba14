import httpx
import pytest
from fastapi import FastAPI

TOKEN = "correct-horse"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


async def test_no_route_but_health_answers_without_a_token(app: FastAPI, stranger: httpx.AsyncClient) -> None:
    for path, methods in app.openapi()["paths"].items():
        for method in methods:
            answer = await stranger.request(method.upper(), path)
            expected = (200, 503) if path == "/api/health" else (401,)
            assert answer.status_code in expected, f"{method} {path}"


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/docs/files/swagger-ui.css", "/nothing", "/"])
async def test_documentation_and_unknown_paths_want_the_token_too(stranger: httpx.AsyncClient, path: str) -> None:
    answer = await stranger.get(path)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["code"] == "Unauthorized"


@pytest.mark.parametrize(
    "value",
    [
        "Bearer wrong",
        "Bearer",
        "Bearer ",
        f"Basic {TOKEN}",
        TOKEN,
        f"Bearer {TOKEN}x",
        "Bearer \u00e9",
        f"Bearer {TOKEN[:-1]}",
    ],
)
async def test_a_wrong_token_is_refused(stranger: httpx.AsyncClient, value: str) -> None:
    answer = await stranger.get("/api/v1/node", headers={"Authorization": value.encode("utf-8")})  # type: ignore[dict-item]
    assert answer.status_code == 401
    assert TOKEN not in answer.text


async def test_the_token_opens(stranger: httpx.AsyncClient) -> None:
    assert (await stranger.get("/api/v1/node", headers=BEARER)).status_code == 200
    assert (await stranger.get("/api/v1/node", headers={"Authorization": f"bearer {TOKEN}"})).status_code == 200


async def test_a_token_in_the_query_opens_only_what_is_read(stranger: httpx.AsyncClient) -> None:
    assert (await stranger.get("/api/v1/node", params={"token": TOKEN})).status_code == 200
    assert (await stranger.get("/api/v1/node", params={"token": "wrong"})).status_code == 401
    assert (await stranger.post("/api/v1/apps", params={"token": TOKEN}, json={})).status_code == 401
    assert (await stranger.delete("/api/v1/apps/shop", params={"token": TOKEN})).status_code == 401


@pytest.mark.parametrize(
    "host",
    [
        "evil.example.com",
        "172.17.0.1:8083",
        "host.docker.internal:8083",
        "192.168.1.5",
        "localhost.evil.com",
        "",
        "[::1",
        "a b",
        "node.example.com.evil.com",
        "127.0.0.1.evil.com",
        "0.0.0.0",
    ],
)
async def test_a_foreign_host_is_refused_even_with_the_token(stranger: httpx.AsyncClient, host: str) -> None:
    answer = await stranger.get("/api/v1/node", headers=BEARER | {"Host": host})
    assert answer.status_code == 403
    assert answer.json() | {"code": "Forbidden", "where": "Host"} == answer.json()


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:9", "LOCALHOST:8083", "127.0.0.1", "127.9.9.9:1", "[::1]:8083", "node.example.com:8083"],
)
async def test_the_nodes_own_names_are_answered(stranger: httpx.AsyncClient, host: str) -> None:
    assert (await stranger.get("/api/v1/node", headers=BEARER | {"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example.com",
        "null",
        "",
        "http://localhost:3000",
        "http://localhost",
        "file://",
        "http://localhost:8083.evil.com",
        "http://localhost:x",
        "http://[",
    ],
)
async def test_a_foreign_page_is_refused_even_with_the_token(stranger: httpx.AsyncClient, origin: str) -> None:
    headers = BEARER | {"Host": "localhost:8083", "Origin": origin}
    for method in ("GET", "POST", "OPTIONS"):
        answer = await stranger.request(method, "/api/v1/apps", headers=headers)
        assert answer.status_code == 403
        assert answer.json()["where"] == "Origin"


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost:8083", "http://localhost:8083"),
        ("localhost", "http://localhost"),
        ("node.example.com", "https://node.example.com"),
        ("node.example.com:443", "https://node.example.com"),
    ],
)
async def test_the_nodes_own_page_is_answered(stranger: httpx.AsyncClient, host: str, origin: str) -> None:
    answer = await stranger.get("/api/v1/node", headers=BEARER | {"Host": host, "Origin": origin})
    assert answer.status_code == 200


async def test_health_is_open_to_every_name(stranger: httpx.AsyncClient) -> None:
    answer = await stranger.get("/api/health", headers={"Host": "10.0.0.7:8083"})
    assert answer.json() == {"status": "degraded", "checks": {"store": "ok", "temporal": "unreachable"}}
    assert answer.status_code == 503


async def test_a_visit_to_the_documentation_opens_the_documentation_and_nothing_else(
    stranger: httpx.AsyncClient,
) -> None:
    visit = await stranger.get("/docs", params={"token": TOKEN})
    assert visit.status_code == 200
    cookie = visit.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert TOKEN not in cookie
    for path in ("/openapi.json", "/docs", "/docs/start.js", "/docs/files/swagger-ui-bundle.js"):
        assert (await stranger.get(path)).status_code == 200
    assert (await stranger.get("/api/v1/node")).status_code == 401
    assert (await stranger.get("/docsx")).status_code == 401


async def test_the_documentation_needs_no_other_server(client: httpx.AsyncClient) -> None:
    page = await client.get("/docs")
    assert "http" not in page.text.replace("<!doctype html>", "").lower()
    assert page.headers["content-security-policy"].startswith("default-src 'self'")


async def test_a_wrong_token_leaves_no_cookie(stranger: httpx.AsyncClient) -> None:
    assert "set-cookie" not in (await stranger.get("/docs", params={"token": "wrong"})).headers
