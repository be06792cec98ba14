"""What FastAPI's OpenAPI document leaves open, and the API does not."""

from collections.abc import Iterator
from typing import Any

_CHANGES = ("deploy", "stop", "start", "retry", "fork", "rollback", "scale", "delete")
# The parameter of the paths about what was made, and the field of the answer that has it.
_ONE = {
    "createApp": ("app", "app"),
    "documentedCreateApp": ("app", "id"),
    "addProvider": ("provider_id", "id"),
    "documentedAddProvider": ("provider_id", "id"),
    "addRoute": ("route_id", "id"),
    "documentedAddRoute": ("route_id", "id"),
    "addEndpoint": ("instance", "instance"),
    "documentedAddEndpoint": ("instance", "instance"),
    "addDomain": ("host", "host"),
    "documentedAddDomain": ("host", "host"),
}
MADE = {
    **{operation: {parameter: f"$response.body#/{field}"} for operation, (parameter, field) in _ONE.items()},
    **{f"{verb}App": {part: f"$response.body#/{part}" for part in ("workflow_id", "run_id")} for verb in _CHANGES},
}
"""Operations that make something, and where their answers have the parameters of whatever is about that."""


def precise(schema: dict[str, Any]) -> dict[str, Any]:
    """The same document: maps have the keys that are described and no others, nothing in an address is null, and
    the answer that something was made says by what it is asked for, changed and removed."""
    for node in _objects(schema):
        if "patternProperties" in node:
            node.setdefault("additionalProperties", False)
        if node.get("in") in ("path", "query", "header"):
            node["schema"] = _without_null(node["schema"])
    for operation in _operations(schema):
        if parameters := MADE.get(operation["operationId"]):
            answer = next(answer for status, answer in operation["responses"].items() if status.startswith("2"))
            answer["links"] = {
                one: {"operationId": one, "parameters": parameters} for one in _about(schema, parameters)
            }
    return schema


def _about(schema: dict[str, Any], parameters: dict[str, str]) -> list[str]:
    """The operations whose path has exactly these parameters."""
    return [
        operation["operationId"]
        for operation in _operations(schema)
        if {each["name"] for each in operation.get("parameters", ()) if each["in"] == "path"} == set(parameters)
    ]


def _operations(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for methods in schema["paths"].values():
        yield from methods.values()


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    return {key: value for key, value in schema.items() if key != "anyOf"} | kinds[0] if len(kinds) == 1 else schema


def _objects(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _objects(child)
