from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI

DOCUMENTED = {
    "/resource/capacity": {"get"},
    "/resource/providers": {"get", "post"},
    "/application/apps": {"get", "post"},
    "/application/apps/{app}": {"get", "delete"},
    "/application/apps/{app}/components": {"get"},
    "/application/apps/{app}/analyze": {"post"},
    "/application/apps/{app}/deploy-components": {"post"},
    "/application/apps/{app}/logs": {"get"},
    "/communication/endpoints": {"get", "post"},
    "/communication/endpoints/{instance}": {"put", "delete"},
    "/communication/routes": {"get", "post"},
    "/communication/routes/{route_id}": {"put", "delete"},
    "/api/health": {"get"},
    "/metrics": {"get"},
}
VERBS = ("deploy", "stop", "start", "retry", "fork", "rollback", "scale", "restart", "cancel")
STARTING = {f"/api/v1/apps/{{app}}/{verb}" for verb in VERBS} | {"/application/apps/{app}/deploy-components"}


@pytest.fixture
def schema(app: FastAPI) -> dict[str, Any]:
    return app.openapi()


def operations(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def test_the_documented_routes_are_there_as_written(schema: dict[str, Any]) -> None:
    for path, methods in DOCUMENTED.items():
        assert set(schema["paths"][path]) == methods


def test_what_is_documented_of_communication_is_under_version_1_too(schema: dict[str, Any]) -> None:
    paths = [path for path in DOCUMENTED if path.startswith("/communication")]
    for path in paths:
        versioned = schema["paths"][f"/api/v1{path}"]
        assert set(versioned) == DOCUMENTED[path]
        for method, operation in versioned.items():
            told = {key: value for key, value in operation.items() if key not in ("operationId", "tags")}
            assert told.items() <= schema["paths"][path][method].items()


def test_starting_something_answers_202_with_a_link(schema: dict[str, Any]) -> None:
    for path in STARTING:
        answer = schema["paths"][path]["post"]["responses"]["202"]
        assert answer["content"]["application/json"]["schema"]["$ref"].endswith("/Accepted")
    assert set(schema["components"]["schemas"]["Accepted"]["properties"]) == {
        "workflow_id",
        "run_id",
        "url",
        "follow",
    }


def test_each_operation_is_named_described_and_tagged(schema: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, operation in operations(schema)]
    assert len(names) == len(set(names))
    tags = {tag["name"] for tag in schema["tags"]}
    for where, operation in operations(schema):
        assert operation["summary"], where
        assert set(operation["tags"]) <= tags, where


def test_each_operation_documents_its_refusals_as_problems(schema: dict[str, Any]) -> None:
    for where, operation in operations(schema):
        if where == "get /api/health":
            continue
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                assert list(answer["content"]) == ["application/problem+json"], where
        assert {"400", "401", "403", "413", "500"} <= set(operation["responses"]), where


def test_each_success_has_a_shape(schema: dict[str, Any]) -> None:
    for where, operation in operations(schema):
        good = [(s, a) for s, a in operation["responses"].items() if s.startswith("2")]
        assert good, where
        for status, answer in good:
            if status != "204":
                assert answer["content"], where
                assert all(
                    content.get("schema") or content["itemSchema"] for content in answer["content"].values()
                ), where


def test_every_reference_leads_somewhere(schema: dict[str, Any]) -> None:
    known = {f"#/components/schemas/{name}" for name in schema["components"]["schemas"]}
    assert set(_references(schema)) <= known
    assert "HTTPValidationError" not in schema["components"]["schemas"]


def test_all_but_health_want_the_token(schema: dict[str, Any]) -> None:
    assert schema["security"] == [{"token": []}]
    opened = [where for where, operation in operations(schema) if operation.get("security") == []]
    assert opened == ["get /api/health"]


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)
