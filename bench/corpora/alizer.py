"""Alizer: the tables in its Go tests, and `git_test.json` (https://github.com/devfile/alizer).

The tables name a project below `resources/projects`; a test that sets variables of the environment is left out, as
the analysis reads none. `git_test.json` describes checked out repositories that lie beside it, by folder.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.corpora.case import Case

_TEST = re.compile(r"^func Test\w+\(t \*testing\.T\) \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_COMPONENTS = re.compile(r'isComponentsInProject\(t, "([^"]+)", (\d+), "([^"]+)", "[^"]*"\)')
_LANGUAGE = re.compile(r'isLanguageInProject\(t, "([^"]+)", "([^"]+)", \[\]string\{[^}]*\}, \[\]string\{([^}]*)\}\)')
_PORTS = re.compile(r'testPortDetectionInProject\(t, "([^"]+)", \[\]int\{([\d, ]*)\}\)')
_LANGUAGES = {"visual basic .net": "vb", "java": "java"}
_NO_FRAMEWORK = re.compile(r"net(coreapp)?\d")


def knows(folder: Path) -> bool:
    return (folder / "test" / "apis").is_dir() and (folder / "resources" / "projects").is_dir()


def listed(folder: Path) -> bool:
    return (folder / "git_test.json").exists()


def cases(folder: Path) -> Iterator[Case]:
    facts: dict[str, dict[str, Any]] = defaultdict(dict)
    for file in sorted((folder / "test" / "apis").glob("*.go")):
        for body in _TEST.findall(file.read_text()):
            _read(body, facts)
    projects = folder / "resources" / "projects"
    for name, fact in sorted(facts.items()):
        if name and (projects / name).is_dir():
            yield Case("alizer", name, projects / name, **fact)


def _read(body: str, facts: dict[str, dict[str, Any]]) -> None:
    for name, count, language in _COMPONENTS.findall(body):
        facts[name] |= {"components": int(count), "language": _LANGUAGES.get(language.lower(), language.lower())}
    for name, language, frameworks in _LANGUAGE.findall(body):
        found = [text.strip().strip('"') for text in frameworks.split(",") if text.strip()]
        facts[name]["language"] = _LANGUAGES.get(language, language)
        if found and not _NO_FRAMEWORK.match(found[0]):
            facts[name]["framework"] = found[0]
    if "Setenv" not in body:
        for name, numbers in _PORTS.findall(body):
            facts[name]["ports"] = tuple(int(number) for number in numbers.split(",") if number.strip()) or None


def repositories(folder: Path) -> Iterator[Case]:
    """Of `git_test.json`: those that are there."""
    for entry in json.loads((folder / "git_test.json").read_text()):
        path = folder / entry["directory"]
        if not path.is_dir():
            continue
        parts = entry["components"]
        first = (parts[0].get("languages") or [{}])[0] if len(parts) == 1 else {}
        name = str(first.get("name", "")).lower()
        yield Case(
            "git_test",
            entry["directory"],
            path,
            language=_LANGUAGES.get(name, name or None),
            framework=next((f.lower() for f in first.get("frameworks") or []), None),
            ports=tuple(parts[0].get("ports") or ()) or None if len(parts) == 1 else None,
            components=len(parts),
        )
