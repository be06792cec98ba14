"""The published schema and what is printed, held against each other."""

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from pydantic import BaseModel

from iarnet.analysis.document import document
from iarnet.analysis.engine import analyze
from iarnet.models.analysis import Evidence, Warning
from iarnet.models.component import Build, Component, EnvVar, HealthCheck, Port, Volume
from iarnet.models.container import Container, File
from iarnet.models.edge import Edge
from iarnet.models.resources import Resources
from iarnet.sources.folder import FolderTree

ROOT = Path(__file__).parents[3]
SCHEMA = json.loads((ROOT / "docs/schemas/analysis.schema.json").read_text())
VALIDATOR = jsonschema_rs.Draft202012Validator(SCHEMA)
EXAMPLES = sorted(path.name for path in (ROOT / "examples").iterdir() if path.is_dir() and path.name != "expected")
MODELS: dict[str, type[BaseModel]] = {
    "build": Build,
    "port": Port,
    "variable": EnvVar,
    "health": HealthCheck,
    "volume": Volume,
    "file": File,
    "container": Container,
    "edge": Edge,
    "evidence": Evidence,
    "warning": Warning,
}


def properties(name: str) -> set[str]:
    return set(SCHEMA["$defs"][name]["properties"])


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_is_as_the_schema_says(name: str) -> None:
    found: dict[str, Any] = document(analyze(FolderTree(ROOT / "examples" / name)))
    assert [str(error) for error in VALIDATOR.iter_errors(json.loads(json.dumps(found)))] == []


@pytest.mark.parametrize("name", MODELS)
def test_the_schema_has_the_fields_of_the_models(name: str) -> None:
    fields = {"from" if field == "from_" else field for field in MODELS[name].model_fields}
    assert properties(name) == fields


def test_a_component_has_its_documented_fields() -> None:
    own = set(Component.model_fields) - {"kind", "resources"}
    assert properties("component") == own | {"id", "type", "requirements"}
    assert len(properties("requirements")) == len(Resources.model_fields)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"more": 1},
        {"components": [{"id": "a"}]},
        {"dag": {"edges": [{"from": "A", "to": "b", "type": "tcp", "condition": "healthy"}]}},
        {"warnings": [{"code": "a", "message": "b", "severity": "bad"}]},
        {"evidence": [{"fact": "a", "value": "b", "file": "c", "confidence": 2, "detector": "d"}]},
    ],
)
def test_what_is_not_documented_is_not_accepted(change: dict[str, Any]) -> None:
    good = {"tree": "t", "version": 1, "components": [], "dag": {"edges": []}, "evidence": [], "warnings": []}
    assert VALIDATOR.is_valid(good)
    assert not VALIDATOR.is_valid(good | change)
