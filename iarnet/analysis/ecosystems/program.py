"""A program as most ecosystems find it, and the profile that follows from it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from iarnet.analysis.base import Profile
from iarnet.analysis.ecosystems import commands
from iarnet.analysis.ecosystems.notes import Notes
from iarnet.analysis.ecosystems.sightings import (
    LOOPBACK,
    Listen,
    Protocol,
    Seen,
    health_check,
    health_route,
    opened,
    ports,
    settings,
)
from iarnet.analysis.ecosystems.sizes import size
from iarnet.models.component import ComponentKind

DEFAULT_PORT = 8080
Recipe = Callable[[int | None, Mapping[str, str]], str]
"""The Dockerfile, from the port and the settings that the image must have."""


@dataclass(frozen=True)
class Framework:
    """`markers`: dependencies that show it. `port`: what its documentation starts with, None for what does not serve.

    `honours`: settings that its own server obeys, `{port}` filled in.
    """

    name: str
    markers: tuple[str, ...]
    port: int | None = DEFAULT_PORT
    pages: bool = False
    protocol: Protocol = "http"
    honours: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Outline:
    """`manifest` says which language it is; `file` and `line` where the start is written. `dependencies` map a
    package to the line of the manifest that names it. `fixed`: the port is our choice, as the recipe configures the
    server."""

    root: str
    language: str
    manifest: str
    start: str
    recipe: Recipe | None = None
    framework: Framework | None = None
    file: str = ""
    line: int | None = None
    confidence: float = 0.9
    seen: Seen = field(default_factory=Seen)
    dependencies: Mapping[str, int | None] = field(default_factory=dict)
    kind: ComponentKind | None = None
    waits: bool = False
    fixed: int | None = None
    context: str | None = None
    workers: tuple[Profile, ...] = ()


def chosen(frameworks: tuple[Framework, ...], dependencies: Mapping[str, int | None]) -> Framework | None:
    """The first of them that a dependency shows; a marker ending in `/` or `.` stands for everything below it."""
    return next((f for f in frameworks if any(_shows(marker, dependencies) for marker in f.markers)), None)


def profile(outline: Outline, notes: Notes) -> Profile:
    listen = opened(outline.seen)
    kind = outline.kind or _kind(outline)
    port, protocol = _port(outline, listen) if kind in ("web", "api", "static") else (None, "http")
    given = _given(outline, listen, port)
    env = settings(outline.seen.env, notes, given)
    _explain(outline, listen, port, notes)
    return Profile(
        root=outline.root,
        language=outline.language,
        framework=outline.framework.name if outline.framework else None,
        kind=kind,
        start_command=outline.start,
        ports=ports(port, protocol),
        env=env,
        health=health_check(outline.seen, port) if port else None,
        resources=size(outline.framework.name if outline.framework else "", outline.dependencies, outline.language),
        dependencies=frozenset(outline.dependencies),
        recipe=outline.recipe(port, given) if outline.recipe else None,
        context=outline.context or outline.root,
        port_env=listen.env if listen and not outline.fixed else None,
        clues=tuple(notes.clues),
        warnings=tuple(notes.warnings),
        workers=outline.workers,
    )


def library(root: str, language: str, dependencies: Mapping[str, int | None], notes: Notes) -> Profile:
    """A folder of this language in which nothing is to be started."""
    return Profile(
        root=root,
        language=language,
        kind="job",
        dependencies=frozenset(dependencies),
        context=root,
        clues=tuple(notes.clues),
        warnings=tuple(notes.warnings),
        runnable=False,
    )


def _shows(marker: str, dependencies: Mapping[str, int | None]) -> bool:
    if marker.endswith(("/", ".", "-")):
        return any(name.startswith(marker) or name == marker[:-1] for name in dependencies)
    return marker in dependencies


def _kind(outline: Outline) -> ComponentKind:
    if said := commands.kind_of(outline.start):
        return said
    told = commands.port_in(outline.start) or commands.port_variable(outline.start)
    serves = bool(told or outline.seen.listens) or bool(outline.framework and outline.framework.port)
    if serves:
        return "web" if outline.seen.pages or (outline.framework and outline.framework.pages) else "api"
    return "worker" if outline.waits or outline.framework else "job"


def _port(outline: Outline, listen: Listen | None) -> tuple[int | None, Protocol]:
    usual = outline.framework.port if outline.framework and outline.framework.port else DEFAULT_PORT
    protocol = outline.framework.protocol if outline.framework else "http"
    if port := commands.port_in(outline.start) or outline.fixed:
        return port, protocol
    if listen:
        return listen.port or usual, protocol if protocol != "http" else listen.protocol
    return usual, protocol


def _given(outline: Outline, listen: Listen | None, port: int | None) -> dict[str, str]:
    """Values that make the program listen on this port, and on every address."""
    if port is None:
        return {}
    given = {
        name: value.format(port=port) for name, value in (outline.framework.honours if outline.framework else ())
    }
    variable = commands.port_variable(outline.start) or (listen.env if listen and not outline.fixed else None)
    if variable:
        given[variable] = f":{port}" if re.search(r"ADDR|LISTEN|BIND", variable) else str(port)
    return given


def _explain(outline: Outline, listen: Listen | None, port: int | None, notes: Notes) -> None:
    file = outline.file or outline.manifest
    notes.clue("language", outline.language, outline.manifest)
    notes.clue("start_command", outline.start, file, outline.line, outline.confidence)
    for name, line in sorted(outline.dependencies.items()):
        notes.clue("dependencies", name, outline.manifest, line)
    if outline.framework:
        shown = [line for name, line in outline.dependencies.items() if _shows_any(outline.framework, name)]
        notes.clue("framework", outline.framework.name, outline.manifest, next(iter(shown), None))
    if port and listen and listen.port == port:
        notes.clue("ports", port, listen.file, listen.line)
    elif port:
        notes.clue("ports", port, file, outline.line, 0.6 if outline.fixed is None else 0.9)
    if port and (route := health_route(outline.seen)):
        notes.clue("health", route.path, route.file, route.line)
    if port and not outline.fixed and listen and listen.host in LOOPBACK and not _told(outline):
        message = f"listens on {listen.host} only, so nothing outside the container reaches it; 0.0.0.0 would do"
        notes.warn("loopback", message, listen.file, listen.line)


def _shows_any(framework: Framework, name: str) -> bool:
    return any(_shows(marker, {name: None}) for marker in framework.markers)


def _told(outline: Outline) -> bool:
    return bool(outline.framework and any(value.startswith("0.0.0.0") for _, value in outline.framework.honours))
