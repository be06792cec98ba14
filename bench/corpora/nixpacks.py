"""Nixpacks: `examples/*`, and a snapshot of the plan of each (https://github.com/railwayapp/nixpacks).

A snapshot has the start command, and the language with its framework as `NIXPACKS_METADATA`.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.corpora.case import Case
from bench.corpora.railpack import framework_in

_LANGUAGES = {"node": "javascript", "deno": "javascript", "staticfile": "html", "lunatic": "rust"}


def knows(folder: Path) -> bool:
    return (folder / "tests" / "snapshots").is_dir() and (folder / "examples").is_dir()


def cases(folder: Path) -> Iterator[Case]:
    """Snapshots that were taken with other settings than the project's own have no project of their name."""
    for project in sorted(path for path in (folder / "examples").iterdir() if path.is_dir()):
        name = project.name.replace("-", "_")
        plan = _plan(folder / "tests" / "snapshots" / f"generate_plan_tests__{name}.snap")
        metadata = str(plan.get("variables", {}).get("NIXPACKS_METADATA", "")).split(",")
        start = (plan.get("start") or {}).get("cmd")
        yield Case(
            "nixpacks",
            project.name,
            project,
            language=_LANGUAGES.get(metadata[0], metadata[0] or None),
            framework=framework_in(project.name),
            start=start,
            components=1 if start else None,
        )


def _plan(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    found: dict[str, Any] = json.loads(path.read_text().split("---\n", 2)[2])
    return found
