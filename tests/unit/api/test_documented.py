"""The shapes of the requirement document (§3.4), key by key."""

import httpx
import pytest

from api.services import Services

pytestmark = pytest.mark.usefixtures("shop")
WEB = {"cpu": 1.0, "memory": 512.0, "gpu": 0.0}
DB = {"cpu": 0.25, "memory": 256.0, "gpu": 0.0}
ANALYSED = [
    {
        "id": "web",
        "name": "Web",
        "type": "web",
        "language": "javascript",
        "framework": "react",
        "requirements": WEB,
    },
    {"id": "db", "name": "Db", "type": "database", "language": None, "framework": None, "requirements": DB},
]


async def get(client: httpx.AsyncClient, path: str) -> dict[str, object]:
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    found: dict[str, object] = answer.json()
    return found


async def test_capacity_counts_what_answers(client: httpx.AsyncClient) -> None:
    assert await get(client, "/resource/capacity") == {"cpu": 8.0, "memory": 16.0, "gpu": 2.0, "storage": 500.0}


async def test_providers(client: httpx.AsyncClient) -> None:
    found = await get(client, "/resource/providers")
    capacity = {"cpu": 8.0, "memory": 16.0, "gpu": 2.0}
    expected = {"type": "docker", "host": "localhost", "port": 2376, "capacity": capacity}
    assert found == {
        "providers": [
            {"id": "far", "name": "Far", "status": "unreachable", **expected},
            {"id": "memory", "name": "Memory", "status": "active", **expected},
        ]
    }


async def test_applications(client: httpx.AsyncClient, shop: Services) -> None:
    created = (await shop.store.apps.get("shop")).created_at
    found = await get(client, "/application/apps")
    assert found == {
        "applications": [
            {
                "id": "shop",
                "name": "Web Shop",
                "git_url": "https://example.com/shop.git",
                "status": "running",
                "components_count": 2,
                "created_at": created.isoformat().replace("+00:00", "Z"),
            }
        ]
    }


async def test_application(client: httpx.AsyncClient) -> None:
    assert await get(client, "/application/apps/shop") == {
        "id": "shop",
        "name": "Web Shop",
        "git_url": "https://example.com/shop.git",
        "local_path": ".",
        "status": "running",
        "components": {
            "web": {"type": "web", "status": "running", "provider_id": "memory"},
            "db": {"type": "database", "status": "error", "provider_id": "memory"},
        },
        "dag": {"components": ANALYSED, "edges": [{"from": "web", "to": "db", "type": "database"}]},
        "metrics": {"requestsPerSecond": None, "responseTime": None, "errorRate": None},
    }


async def test_components(client: httpx.AsyncClient, shop: Services) -> None:
    ids = {i.component: i.id for i in await shop.providers.get("memory").instances("here")}
    shared = {"provider_id": "memory"}
    assert await get(client, "/application/apps/shop/components") == {
        "components": [
            {"id": "web", "name": "Web", "type": "web", "status": "running", "container_id": ids["web"]}
            | shared
            | {"resources": WEB},
            {"id": "db", "name": "Db", "type": "database", "status": "error", "container_id": ids["db"]}
            | shared
            | {"resources": DB},
        ]
    }


async def test_logs_carry_the_level_that_the_line_names(client: httpx.AsyncClient, shop: Services) -> None:
    memory = shop.providers.get("memory")
    for text in ("listening", "WARN: slow disk", "an Error: no such table"):
        memory.say("iarnet-shop-web-r2-0", text)  # type: ignore[attr-defined]
    found = await get(client, "/application/apps/shop/logs?component=web")
    lines = found["logs"]
    assert isinstance(lines, list)
    assert [(line["level"], line["message"]) for line in lines] == [
        ("info", "listening"),
        ("warn", "WARN: slow disk"),
        ("error", "an Error: no such table"),
    ]
    assert {line["source"] for line in lines} == {"iarnet-shop-web-r2-0"}
    assert all(set(line) == {"timestamp", "level", "message", "source"} for line in lines)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "x"},
        {"name": "", "git_url": "https://h/r"},
        {"name": "x", "git_url": ""},
        {"name": 1, "git_url": 2},
    ],
)
async def test_creating_needs_a_name_and_an_address(client: httpx.AsyncClient, body: dict[str, object]) -> None:
    answer = await client.post("/application/apps", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "InvalidInput")


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("https://user:secret@example.com/r.git", "InvalidUrl"),
        ("ext::sh -c id", "InvalidUrl"),
        ("--upload-pack=x", "InvalidUrl"),
        ("ftp://example.com/r", "InvalidUrl"),
    ],
)
async def test_an_address_that_can_not_be_leaves_nothing(
    client: httpx.AsyncClient, shop: Services, url: str, code: str
) -> None:
    answer = await client.post("/application/apps", json={"name": "New", "git_url": url})
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert "secret" not in answer.text
    assert [app.name for app in await shop.store.apps.list()] == ["shop"]


async def test_a_name_that_another_repository_has_is_taken(client: httpx.AsyncClient) -> None:
    answer = await client.post("/application/apps", json={"name": "Shop", "git_url": "https://example.com/other.git"})
    assert (answer.status_code, answer.json()["code"]) == (409, "AlreadyExists")


async def test_a_provider_that_can_not_be_connected_leaves_no_secret(
    client: httpx.AsyncClient, shop: Services
) -> None:
    body = {"name": "K8s Cluster", "type": "k8s", "host": "k8s.example.com", "port": 6443}
    body |= {"config": {"kubeconfig": "a-secret-thing", "namespace": "default"}}
    answer = await client.post("/resource/providers", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "InvalidInput")
    assert await shop.secrets.names() == []


async def test_an_unknown_provider_type_is_refused_with_those_there_are(client: httpx.AsyncClient) -> None:
    body = {"name": "x", "type": "mainframe", "host": "h", "port": 1}
    answer = await client.post("/resource/providers", json=body)
    assert answer.json()["where"] == "type"
    assert "docker" in answer.json()["hint"]
