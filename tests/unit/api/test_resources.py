"""What `/api/v1` reads from the store."""

import httpx
import pytest

from api.services import Services
from iarnet.models.app import Settings
from iarnet.models.change import Begin, ComponentProgress, Failure, Progress

pytestmark = pytest.mark.usefixtures("shop")
V1 = "/api/v1"


async def test_an_app_says_what_runs_and_where_it_answers(client: httpx.AsyncClient) -> None:
    found = (await client.get(f"{V1}/apps/shop")).json()
    assert found["addresses"] == {"web": "http://localhost:32768"}
    assert {c["name"]: c["state"] for c in found["components"]} == {"web": "running", "db": "failed"}
    assert found["warnings"][0]["message"] == "a guess"
    assert found["deployment"]["status"] == "succeeded"
    assert (found["revision"], found["status"], found["commit"]) == (2, "running", "c" * 40)
    assert (await client.get(f"{V1}/apps")).json()["apps"] == [found]


async def test_a_change_that_runs_shows_in_the_components(client: httpx.AsyncClient, shop: Services) -> None:
    begun = await shop.store.facts.begin(Begin(app="shop", cause="deploy", workflow_id="change.shop", run_id="run-2"))
    told = (ComponentProgress(component="web", phase="starting", detail="waiting for port 80"),)
    await shop.store.facts.save_progress(begun.id, Progress(app="shop", deployment_id=begun.id, components=told))
    found = (await client.get(f"{V1}/apps/shop")).json()
    web = found["components"][0]
    assert (web["state"], web["phase"], web["detail"]) == ("changing", "starting", "waiting for port 80")
    details = (await client.get("/application/apps/shop")).json()
    assert (details["status"], details["components"]["web"]["status"]) == ("deploying", "deploying")


async def test_a_change_that_failed_says_which_component_and_why(client: httpx.AsyncClient, shop: Services) -> None:
    facts = shop.store.facts
    begun = await facts.begin(Begin(app="shop", cause="deploy", workflow_id="change.shop", run_id="run-2"))
    failure = Failure(code="NotReady", message="never answered", component="web", log=("boom",))
    told = (ComponentProgress(component="web", phase="failed"),)
    progress = Progress(app="shop", deployment_id=begun.id, status="failed", components=told, failure=failure)
    await facts.finish(begun.id, "failed", progress, failure)
    found = (await client.get(f"{V1}/apps/shop")).json()
    assert found["components"][0]["state"] == "failed"
    assert found["deployment"]["failure"]["log"] == ["boom"]


async def test_what_was_done_can_be_looked_at(client: httpx.AsyncClient) -> None:
    deployments = (await client.get(f"{V1}/apps/shop/deployments")).json()["deployments"]
    number = deployments[0]["id"]
    assert (await client.get(f"{V1}/deployments/{number}")).json() == deployments[0]
    assert (await client.get(f"{V1}/deployments/{number}/plan")).json()["revision"] == 2
    instances = (await client.get(f"{V1}/apps/shop/instances")).json()["instances"]
    assert {i["component"]: i["state"] for i in instances} == {"web": "running", "db": "exited"}
    revisions = (await client.get(f"{V1}/apps/shop/revisions")).json()["revisions"]
    assert [r["number"] for r in revisions] == [2, 1]
    assert (await client.get(f"{V1}/apps/shop/analysis")).json()["dag"]["edges"][0]["from"] == "web"


async def test_why_names_the_losers(client: httpx.AsyncClient) -> None:
    found = (await client.get(f"{V1}/apps/shop/components/web/why")).json()
    assert found["assignment"]["provider_id"] == "memory"
    assert found["assignment"]["rejections"][0]["reason"] == "too little memory"
    assert (await client.get(f"{V1}/apps/shop/components/db/why")).status_code == 404


async def test_the_output_of_a_build_is_kept(client: httpx.AsyncClient) -> None:
    found = (await client.get(f"{V1}/apps/shop/components/web/build-log")).json()
    assert found == {"component": "web", "lines": ["step 1", "step 2"]}
    assert (await client.get(f"{V1}/apps/shop/components/db/build-log")).status_code == 404


async def test_logs_name_their_component_and_hide_secrets(client: httpx.AsyncClient, shop: Services) -> None:
    await shop.secrets.put("shop/db/password", "topsecret99")
    await shop.secrets.get("shop/db/password")
    shop.providers.get("memory").say("iarnet-shop-web-r2-0", "using topsecret99")  # type: ignore[attr-defined]
    found = (await client.get(f"{V1}/apps/shop/logs")).json()
    assert [(line["component"], line["text"]) for line in found["lines"]] == [("web", "using ***")]
    assert found["problems"] == []


async def test_an_instance_that_is_gone_does_not_hide_the_others(client: httpx.AsyncClient, shop: Services) -> None:
    memory = shop.providers.get("memory")
    memory.say("iarnet-shop-web-r2-0", "here")  # type: ignore[attr-defined]
    memory.lose("iarnet-shop-db-r2-0")  # type: ignore[attr-defined]
    found = (await client.get(f"{V1}/apps/shop/logs")).json()
    assert [line["text"] for line in found["lines"]] == ["here"]
    assert [(p["instance"], p["code"]) for p in found["problems"]] == [("iarnet-shop-db-r2-0", "NotFound")]


@pytest.mark.parametrize(
    "path",
    [
        "apps/absent",
        "apps/absent/components",
        "apps/absent/analysis",
        "apps/absent/deployments",
        "apps/absent/instances",
        "apps/absent/revisions",
        "apps/absent/events",
        "apps/absent/events?follow=true",
        "apps/absent/logs",
        "apps/absent/settings",
        "apps/shop/logs?component=absent",
        "apps/shop/components/absent/why",
        "deployments/shop.99",
        "deployments/shop.99/plan",
        "providers/absent",
        "runs/change.absent/none",
    ],
)
async def test_what_is_not_there_is_not_found(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(f"{V1}/{path}")
    if path.startswith("runs"):
        assert (answer.status_code, answer.json()["code"]) == (503, "Missing"), "Temporal may know it"
        return
    assert (answer.status_code, answer.json()["code"]) == (404, "NotFound")
    assert answer.json()["detail"]


async def test_the_story_outlives_its_app(client: httpx.AsyncClient, shop: Services) -> None:
    await shop.store.apps.delete("shop")
    events = (await client.get(f"{V1}/apps/shop/events")).json()["events"]
    assert [e["message"] for e in events] == ["revision 2 runs"]
    assert len((await client.get(f"{V1}/apps/shop/deployments")).json()["deployments"]) == 1
    assert (await client.get(f"{V1}/apps/shop/events", params={"after": events[0]["id"]})).status_code == 404


async def test_a_secret_that_is_not_there_is_refused_at_once(client: httpx.AsyncClient, shop: Services) -> None:
    body = {"secrets": {"web.env.KEY": "shop/absent"}}
    answers = [await client.post(f"{V1}/apps/shop/{verb}", json=body) for verb in ("plan", "deploy", "fork")]
    answers.append(await client.patch(f"{V1}/apps/shop/settings", json=body))
    answers.append(await client.post(f"{V1}/apps/shop/import", json={"credential": "shop/absent"}))
    new = {"url": "https://example.com/new.git", "credential": "shop/absent"}
    answers.append(await client.post(f"{V1}/apps", json=new))
    for answer in answers:
        assert (answer.status_code, answer.json()["where"]) == (404, "shop/absent")
        assert "PUT /api/v1/secrets/shop/absent" in answer.json()["hint"]
    assert [app.name for app in await shop.store.apps.list()] == ["shop"]


async def test_settings_are_merged_and_taken_away(client: httpx.AsyncClient, shop: Services) -> None:
    await shop.secrets.put("shop/key", "value")

    async def patch(**body: object) -> dict[str, object]:
        answer = await client.patch(f"{V1}/apps/shop/settings", json=body)
        assert answer.status_code == 200, answer.text
        found: dict[str, object] = answer.json()
        return found

    await patch(values={"web.replicas": "2", "web.env.A": "1"}, secrets={"web.env.KEY": "shop/key"})
    assert await patch(values={"web.replicas": None, "web.env.B": "2"}) == {
        "values": {"web.env.A": "1", "web.env.B": "2"},
        "secrets": {"web.env.KEY": "shop/key"},
        "observed": {},
    }
    replaced = await patch(values={"web.env.KEY": "plain"})
    assert replaced["secrets"] == {}, "a key is a value or a secret"
    assert (await client.get(f"{V1}/apps/shop/settings")).json() == replaced


async def test_what_a_user_sets_is_no_more_what_was_observed(client: httpx.AsyncClient, shop: Services) -> None:
    await shop.store.apps.set_settings("shop", Settings(observed={"web.port": "3000", "api.port": "9000"}))
    answer = await client.patch(f"{V1}/apps/shop/settings", json={"values": {"web.port": "8080"}})
    assert answer.json() == {"values": {"web.port": "8080"}, "secrets": {}, "observed": {"api.port": "9000"}}


@pytest.mark.parametrize(
    "key", ["web", "web.", ".env.X", "web.env.", "WEB.replicas", "web.env.9", "web.env.A\n", "a b.c"]
)
async def test_a_setting_of_the_wrong_form_is_refused(client: httpx.AsyncClient, key: str) -> None:
    answer = await client.patch(f"{V1}/apps/shop/settings", json={"values": {key: "1"}})
    assert (answer.status_code, answer.json()["code"]) == (400, "InvalidInput")


async def test_secrets_come_in_and_never_go_out(client: httpx.AsyncClient, shop: Services) -> None:
    assert (await client.put(f"{V1}/secrets/credentials/git", json={"value": "abc-value"})).status_code == 204
    assert (await client.put(f"{V1}/secrets/credentials%2Fgithub", json={"value": "def-value"})).status_code == 204
    listed = await client.get(f"{V1}/secrets")
    assert listed.json() == {"names": ["credentials/git", "credentials/github"]}
    assert "value" not in listed.text
    assert await shop.secrets.get("credentials/git") == "abc-value"
    assert (await client.get(f"{V1}/secrets/credentials/git")).status_code == 405
    assert (await client.delete(f"{V1}/secrets/credentials/git")).status_code == 204
    assert (await client.delete(f"{V1}/secrets/credentials/git")).status_code == 404
    assert await shop.secrets.names() == ["credentials/github"], "the neighbour stays"


@pytest.mark.parametrize("name", ["", "a//b", "/a", "a/", "a b", "%00", "..%2F%20", "é"])
async def test_a_name_that_no_secret_can_have_is_refused(client: httpx.AsyncClient, name: str) -> None:
    assert (await client.put(f"{V1}/secrets/{name}", json={"value": "x"})).status_code in (400, 404)


async def test_providers_and_capacity(client: httpx.AsyncClient) -> None:
    found = (await client.get(f"{V1}/providers")).json()
    assert [p["info"]["id"] for p in found["providers"]] == ["far", "memory"]
    assert (await client.get(f"{V1}/providers/memory")).json() == found["providers"][1]
    assert (await client.post(f"{V1}/providers/memory/test")).json()["reachable"] is True
    assert (await client.post(f"{V1}/providers/far/test")).status_code == 404
    assert (await client.delete(f"{V1}/providers/far")).status_code == 404
    capacity = (await client.get(f"{V1}/capacity")).json()
    assert capacity["total"]["cpu_millis"] == 8000
    assert capacity["reserved"]["cpu_millis"] == 0


async def test_changes_that_can_not_be_are_refused_before_they_start(
    client: httpx.AsyncClient, shop: Services
) -> None:
    async def code(verb: str, body: object = None, app: str = "shop") -> tuple[int, str]:
        answer = await client.post(f"{V1}/apps/{app}/{verb}", json={} if body is None else body)
        return answer.status_code, answer.json()["code"]

    await shop.store.apps.create("fresh", (await shop.store.apps.get("shop")).git)
    for verb in ("start", "retry", "rollback", "restart", "analyze"):
        assert await code(verb, app="fresh") == (409, "Conflict"), verb
    for verb in ("deploy", "plan", "stop", "start", "retry", "rollback", "restart", "cancel", "import", "analyze"):
        assert await code(verb, app="absent") == (404, "NotFound"), verb
    assert await code("fork") == (400, "InvalidInput")
    assert await code("scale", {"replicas": {}}) == (400, "InvalidInput")
    assert await code("scale", {"replicas": {"web": 101}}) == (400, "InvalidInput")
    assert await code("scale", {"replicas": {"absent": 1}}) == (404, "NotFound")
    assert await code("restart", {"component": "absent"}) == (404, "NotFound")
    assert await code("rollback", {"revision": 9}) == (404, "NotFound")
    assert await code("rollback") == (409, "Conflict"), "revision 1 was never deployed with success"
    assert await code("import", {"ref": "--upload-pack=x"}) == (400, "InvalidInput")
    assert (await shop.store.apps.get("shop")).git.ref == "main"
