"""What the OpenAPI document says exactly, and what is taken exactly as it says."""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api.document import MADE, precise

pytestmark = pytest.mark.usefixtures("shop")
V1 = "/api/v1"


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        (f"{V1}/apps", "GET, POST"),
        (f"{V1}/apps/shop", "DELETE, GET"),
        (f"{V1}/apps/shop/settings", "GET, PATCH"),
        (f"{V1}/communication/routes/x/y", "DELETE, PUT"),
        (f"{V1}/node", "GET"),
    ],
)
async def test_a_method_that_is_not_taken_is_answered_with_all_that_are(
    client: httpx.AsyncClient, path: str, methods: str
) -> None:
    answer = await client.request("TRACE", path)
    assert (answer.status_code, answer.headers["allow"]) == (405, methods)


@pytest.mark.parametrize(
    ("method", "path", "body", "where"),
    [
        ("POST", "apps/shop/deploy", {"fetch": 0}, "body.fetch"),
        ("POST", "apps/shop/retry", {"fetch": "no"}, "body.fetch"),
        ("POST", "apps/shop/rollback", {"revision": True}, "body.revision"),
        ("POST", "apps/shop/rollback", {"revision": "1"}, "body.revision"),
        ("POST", "apps/shop/rollback", {"revision": 1.5}, "body.revision"),
        ("POST", "apps/shop/scale", {"replicas": {"web": "2"}}, "body.replicas.web"),
        ("PUT", "communication/endpoints/x", {"weight": True}, "body.weight"),
        ("POST", "providers", {"id": "x", "name": "", "type": "vm", "limits": {"gpu_millis": False}}, "body.limits"),
    ],
)
async def test_a_value_of_another_type_is_not_made_to_fit(
    client: httpx.AsyncClient, method: str, path: str, body: dict[str, Any], where: str
) -> None:
    answer = await client.request(method, f"{V1}/{path}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "InvalidInput")
    assert answer.json()["where"].startswith(where)


async def test_a_whole_number_may_be_written_with_a_point(client: httpx.AsyncClient) -> None:
    answer = await client.post(f"{V1}/apps/shop/rollback", json={"revision": 9.0})
    assert answer.json()["detail"] == "'shop' has no revision 9"


def test_maps_have_no_other_keys_than_those_described(app: FastAPI) -> None:
    schemas = app.openapi()["components"]["schemas"]
    for shape, field in (("SettingsPatch", "values"), ("ScaleBody", "replicas"), ("RouteBody", "cookies")):
        assert schemas[shape]["properties"][field]["additionalProperties"] is False


def test_nothing_in_an_address_is_null(app: FastAPI) -> None:
    operations = (o for methods in app.openapi()["paths"].values() for o in methods.values())
    given = [parameter for operation in operations for parameter in operation.get("parameters", ())]
    assert len(given) > 50
    assert [each for each in given if {"type": "null"} in each["schema"].get("anyOf", ())] == []


def test_what_is_said_of_a_parameter_stays() -> None:
    kinds = [{"type": "string", "pattern": "^a$"}, {"type": "null"}]
    given = [{"in": "query", "schema": {"anyOf": kinds, "description": "one"}}]
    found = precise({"paths": {"/a": {"get": {"operationId": "a", "parameters": given}}}})
    assert found["paths"]["/a"]["get"]["parameters"][0]["schema"] == {
        "type": "string",
        "pattern": "^a$",
        "description": "one",
    }


def test_bounds_are_in_the_document(app: FastAPI) -> None:
    schemas = app.openapi()["components"]["schemas"]
    assert {"minimum": 1, "maximum": 10_000}.items() <= schemas["EndpointBody"]["properties"]["weight"].items()
    revision = schemas["RollbackBody"]["properties"]["revision"]["anyOf"][0]
    assert {"type": "integer", "minimum": 1}.items() <= revision.items()


async def test_a_secret_that_no_address_can_name_is_not_found(app: FastAPI, client: httpx.AsyncClient) -> None:
    answer = await client.put(f"{V1}/secrets/a%0Ab", json={"value": "x"})
    assert answer.status_code == 404
    assert "404" in app.openapi()["paths"][f"{V1}/secrets/{{name}}"]["put"]["responses"]


def test_the_messages_of_a_stream_are_described(app: FastAPI) -> None:
    answer = app.openapi()["paths"][f"{V1}/runs/{{workflow_id}}/{{run_id}}/events"]["get"]["responses"]["200"]
    message = answer["content"]["text/event-stream"]["itemSchema"]
    assert message["properties"]["event"] == {"enum": ["progress", "done", "error"]}
    assert message["required"] == ["event", "data"]


def test_an_answer_leads_to_what_can_be_done_with_what_was_made(app: FastAPI) -> None:
    paths = app.openapi()["paths"]
    links = paths[f"{V1}/apps"]["post"]["responses"]["202"]["links"]
    assert {"getApp", "deployApp", "deleteApp", "documentedApp"} <= set(links)
    assert links["getApp"] == {"operationId": "getApp", "parameters": {"app": "$response.body#/app"}}
    assert set(paths[f"{V1}/apps/{{app}}/deploy"]["post"]["responses"]["202"]["links"]) == {"getRun", "followRun"}
    assert set(MADE) <= {each["operationId"] for methods in paths.values() for each in methods.values()}
