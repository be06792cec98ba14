"""Every example's analysis, whole, against what its author expects."""

import json
from pathlib import Path
from typing import Any

import pytest

from iarnet.analysis.document import document
from iarnet.analysis.ecosystems.catalog import ECOSYSTEMS
from iarnet.analysis.engine import analyze
from iarnet.sources.folder import FolderTree

EXAMPLES = Path(__file__).parents[3] / "examples"
NAMES = sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir() and path.name != "expected")


@pytest.mark.parametrize("name", NAMES)
def test_analysis_is_what_the_author_expects(name: str) -> None:
    expected = json.loads((EXAMPLES / "expected" / f"{name}.json").read_text())
    assert in_order(found(name)) == in_order(expected)


@pytest.mark.parametrize("name", NAMES)
def test_every_component_has_evidence_in_a_file_of_the_example(name: str) -> None:
    analysis = analyze(FolderTree(EXAMPLES / name), ECOSYSTEMS)
    for component in analysis.components:
        files = {e.file for e in analysis.evidence if e.fact.split(".")[0] == component.name}
        assert files, component.name
        assert all((EXAMPLES / name / file).exists() for file in files), files


@pytest.mark.parametrize("name", NAMES)
def test_what_we_build_says_how(name: str) -> None:
    for component in analyze(FolderTree(EXAMPLES / name), ECOSYSTEMS).components:
        if component.image is None:
            assert component.build is not None
            assert bool(component.build.recipe) != bool(component.build.dockerfile), component.name


def test_each_expectation_has_its_example() -> None:
    assert sorted(path.stem for path in (EXAMPLES / "expected").glob("*.json")) == NAMES


def found(name: str) -> dict[str, Any]:
    """Without the text of recipes, which has tests of its own, and what changes with every edit of the example."""
    result = document(analyze(FolderTree(EXAMPLES / name), ECOSYSTEMS))
    for component in result["components"]:
        component.get("build", {}).pop("recipe", None)
    return {key: result[key] for key in ("components", "dag", "warnings")}


def in_order(result: dict[str, Any]) -> dict[str, Any]:
    """In which order components and edges come means nothing."""
    components = sorted(result["components"], key=lambda component: component["id"])
    edges = sorted(result["dag"]["edges"], key=lambda edge: (edge["from"], edge["to"]))
    return result | {"components": components, "dag": {"edges": edges}}
