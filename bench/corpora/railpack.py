"""Railpack: `examples/*` with `test.json`, and a snapshot of each plan.

https://github.com/railwayapp/railpack; a snapshot has the start command and the tools that are installed, `test.json`
(JSON with comments) the port that a check asks.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.corpora.case import Case

_INSTALLED = re.compile(r"install mise packages: (.*)")
# The strongest first: a program in Ruby may need Node to build, hardly the other way round.
_LANGUAGES = (("gleam", "gleam"), ("elixir", "elixir"), ("cmake", "c++"), ("meson", "c++"), ("dotnet", "c#"),
              ("deno", "javascript"), ("go", "go"), ("rust", "rust"), ("ruby", "ruby"), ("java", "java"),
              ("python", "python"), ("node", "javascript"), ("bun", "javascript"))  # fmt: skip
_SHELLS = re.compile(r"^(?:sh|bash|zsh) \S+$|\.sh$")
_FRAMEWORKS = {"angular": "angular", "astro": "astro", "cra": "create-react-app", "next": "next", "nuxt": "nuxt",
               "remix": "remix", "svelte-kit": "sveltekit", "sveltekit": "sveltekit", "django": "django",
               "fastapi": "fastapi", "flask": "flask", "laravel": "laravel", "rails": "rails", "sinatra": "sinatra",
               "phoenix": "phoenix", "phx": "phoenix", "rocket": "rocket", "gin": "gin", "spring": "spring-boot",
               "luminus": "luminus", "vapor": "vapor", "fresh": "fresh", "fasthtml": "fasthtml",
               "tanstack": "tanstack-start", "expo": "expo"}  # fmt: skip


def cases(folder: Path) -> Iterator[Case]:
    for project in sorted(path for path in (folder / "examples").iterdir() if path.is_dir()):
        yield case(folder, project)


def knows(folder: Path) -> bool:
    return (folder / "core" / "__snapshots__").is_dir() and (folder / "examples").is_dir()


def case(folder: Path, project: Path) -> Case:
    snapshot = folder / "core" / "__snapshots__" / f"TestGenerateBuildPlanForExamples_{project.name}_1.snap.json"
    plan = json.loads(snapshot.read_text()) if snapshot.exists() else {}
    start = plan.get("deploy", {}).get("startCommand")
    expected = _tests(project / "test.json")
    language = _PROVIDERS.get(_provider(project / "railpack.json")) or _language(plan, start)
    return Case(
        "railpack",
        project.name,
        project,
        language=language,
        framework=framework_in(project.name),
        start=start,
        ports=_ports(expected, start),
        components=1 if start else None,
    )


def framework_in(name: str) -> str | None:
    """The examples are called after what they show."""
    words = f"-{name.replace('_', '-')}-"
    return next((ours for theirs, ours in _FRAMEWORKS.items() if f"-{theirs}-" in words), None)


_PROVIDERS = {"node": "javascript", "java": "java", "python": "python", "shell": "shell"}


def _provider(path: Path) -> str:
    """What the project itself tells Railpack that it is."""
    found = re.search(r"\"provider\":\s*\"(\w+)\"", path.read_text()) if path.exists() else None
    return found[1] if found else ""


def _language(plan: dict[str, Any], start: str | None) -> str | None:
    commands = [command for step in plan.get("steps", []) for command in step.get("commands", [])]
    found = [_INSTALLED.fullmatch(command.get("customName") or "") for command in commands]
    tools = {tool.strip() for match in found if match for tool in match[1].split(",")}
    if start == "/start-container.sh":
        return "php"
    if start and _SHELLS.search(start) and "gleam" not in tools:
        return "shell"
    if not tools:
        return "html" if start and start.startswith("caddy") else None
    return next((language for tool, language in _LANGUAGES if tool in tools), None)


def _ports(tests: list[dict[str, Any]], start: str | None) -> tuple[int, ...] | None:
    """What Railpack's own web server for files and for PHP opens says nothing of the project."""
    if start and (start.startswith("caddy") or start == "/start-container.sh"):
        return None
    found = {check["internalPort"] for test in tests if (check := test.get("httpCheck")) and "internalPort" in check}
    return tuple(sorted(found)) or None


def _tests(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    text = re.sub(r"(?m)(^|[\s,\[{])//[^\n]*", r"\1", path.read_text())
    found: list[dict[str, Any]] = json.loads(re.sub(r",(\s*[\]}])", r"\1", text))
    return found
