"""JavaScript and TypeScript on Node: npm, pnpm, yarn, bun; page frameworks, servers, workers."""

import re
from dataclasses import replace

from iarnet.analysis.base import Files, Profile
from iarnet.analysis.ecosystems import commands
from iarnet.analysis.ecosystems.manifests import join, line_of, table, text_at
from iarnet.analysis.ecosystems.node_code import SUFFIXES, read_code
from iarnet.analysis.ecosystems.node_frameworks import Framework, declared_port, detect, server_of
from iarnet.analysis.ecosystems.node_manifests import NodeProject, read_project
from iarnet.analysis.ecosystems.node_program import Program
from iarnet.analysis.ecosystems.node_programs import (
    declared_program,
    find_program,
    resolved,
    shown,
    without_manifest,
)
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
from iarnet.analysis.recipes import static
from iarnet.analysis.recipes.node import NodeBuild, node_recipe
from iarnet.analysis.recipes.static import Site
from iarnet.models.component import ComponentKind, HealthCheck

_WORKER_SCRIPT = re.compile(r"(?:start:)?(?:worker|workers|queue|consumer|scheduler|cron)(?::start|:prod)?")
_WORKER_FILE = re.compile(r"(?:^|/)(?:worker|consumer|scheduler|cron|queue)s?(?:\.[cm]?[jt]s)?$")
_BUILD_SETTINGS = ("VITE_", "NEXT_PUBLIC_", "REACT_APP_", "VUE_APP_", "PUBLIC_", "GATSBY_", "NUXT_PUBLIC_")
_HEALTH_FILES = ("app/api/{}/route", "src/app/api/{}/route", "pages/api/{}", "src/pages/api/{}", "server/api/{}.get",
                 "server/api/{}", "src/routes/api/{}/+server", "app/routes/api.{}")  # fmt: skip
_HEALTH_ROOTS = ("app/{}/route", "src/app/{}/route", "server/routes/{}", "src/routes/{}/+server", "app/routes/{}")


class Node:
    name = "node"

    def recognise(self, files: Files, root: str, start: str | None = None) -> Profile | None:
        notes = Notes()
        project = read_project(files, root, notes) or without_manifest(files, root, start)
        if project is None:
            return None
        framework = detect(files, project)
        fastify = bool(framework and framework.name == "fastify")
        seen = files.once(f"node {root} {fastify}", lambda: read_code(files, root, fastify=fastify)).copy()
        program = declared_program(project, start) if start else find_program(files, project, framework, seen)
        if program is None:
            return _library(files, project, framework, seen, notes)
        framework = server_of(project) if program.serves else framework
        profile = _profile(files, project, framework, seen, program, notes)
        workers = () if start else tuple(_workers(files, project, seen, program))
        return Profile(**{**profile.__dict__, "workers": workers})


def _library(files: Files, project: NodeProject, framework: Framework | None, seen: Seen, notes: Notes) -> Profile:
    return Profile(
        root=project.root,
        language=_language(files, project),
        framework=framework.name if framework else None,
        kind="job",
        env=settings(seen.env, notes),
        dependencies=frozenset(project.reached),
        context=project.context,
        clues=tuple(notes.clues),
        warnings=tuple(notes.warnings),
        runnable=False,
    )


def _language(files: Files, project: NodeProject) -> str:
    typed = "typescript" in project.everything or files.exists(join(project.root, "tsconfig.json"))
    return "typescript" if typed else "javascript"


def _profile(
    files: Files, project: NodeProject, framework: Framework | None, seen: Seen, program: Program, notes: Notes
) -> Profile:
    served = program.delivery.output is not None
    listen = opened(seen)
    own = declared_port(files, project) if framework and framework.pages else None
    port, protocol = (own or static.PORT, "http") if served else _port(framework, program, seen, own)
    kind: ComponentKind = "static" if served else _kind(framework, seen, program, port)
    if kind in ("worker", "job"):
        port = None
    given = {} if served else _given(framework, program, listen, port)
    env = settings(seen.env, notes, given)
    _explain(files, project, framework, program, listen, port, notes)
    return Profile(
        root=project.root,
        language=_language(files, project),
        framework=framework.name if framework else None,
        kind=kind,
        start_command=program.shown or None,
        ports=ports(port, protocol),
        env=env,
        health=_health(files, project, seen, port, notes, served=served),
        resources=size("static" if served else framework.name if framework else "node", language="node"),
        dependencies=frozenset(project.reached),
        recipe=node_recipe(_build(files, project, framework, seen, program, port, given)),
        context=project.context,
        optional=frozenset(seen.optional),
        port_env=listen.env if listen and not served else None,
        clues=tuple(notes.clues),
        warnings=tuple(notes.warnings),
    )


def _port(framework: Framework | None, program: Program, seen: Seen, own: int | None) -> tuple[int | None, Protocol]:
    """`own`: what the project says elsewhere, which a server that obeys a setting is told."""
    if port := commands.port_in(program.run) or program.delivery.port:
        return port, "http"
    listen = opened(seen)
    if listen and not (framework and framework.pages and framework.name != "vite" and not program.script):
        return listen.port or (framework.port if framework else 3000), listen.protocol
    return ((own if framework.honours else None) or framework.port if framework else None), "http"


def _kind(framework: Framework | None, seen: Seen, program: Program, port: int | None) -> ComponentKind:
    if said := commands.kind_of(program.run) or _kind_of_script(program):
        return said
    if framework and framework.pages:
        return "web"
    if port is None or (framework is None and not seen.listens):
        return "worker"
    return "web" if seen.pages else "api"


def _kind_of_script(program: Program) -> ComponentKind | None:
    """A script called `worker`, a file called `worker.js`."""
    words = commands.words(program.run)
    named = any(_WORKER_FILE.search(word) for word in words[1:])
    return "worker" if named or (program.script and _WORKER_SCRIPT.fullmatch(program.script)) else None


def _given(framework: Framework | None, program: Program, listen: Listen | None, port: int | None) -> dict[str, str]:
    """Values that make the program listen on this port and on every address."""
    if port is None:
        return {}
    given = {name: value.format(port=port) for name, value in (framework.honours if framework else ())}
    variable = commands.port_variable(program.run) or (listen.env if listen and not given else None)
    return given | ({variable: str(port)} if variable else {})


def _explain(
    files: Files,
    project: NodeProject,
    framework: Framework | None,
    program: Program,
    listen: Listen | None,
    port: int | None,
    notes: Notes,
) -> None:
    text = files.text(project.path)
    notes.clue("language", _language(files, project), project.path if text else program.file)
    if program.shown:
        notes.clue("start_command", program.shown, program.file, program.line, 0.9 if program.script else 0.7)
    if framework:
        marker = next(name for name in framework.markers if name in project.everything)
        notes.clue("framework", framework.name, project.path, line_of(text, f'"{marker}"'))
    if listen and port and listen.port == port:
        notes.clue("ports", port, listen.file, listen.line)
    elif port:
        notes.clue("ports", port, program.file, program.line, 0.6)
    if program.delivery.warning:
        notes.warn("adapter", program.delivery.warning, project.path)
    if port and listen and listen.host in LOOPBACK and program.delivery.output is None:
        message = f"listens on {listen.host} only, so nothing outside the container reaches it; 0.0.0.0 would do"
        notes.warn("loopback", message, listen.file, listen.line)


def _health(
    files: Files, project: NodeProject, seen: Seen, port: int | None, notes: Notes, *, served: bool
) -> HealthCheck | None:
    if served:
        return HealthCheck(type="http", path="/", port=port)
    if port is None:
        return None
    _note_health_files(files, project, seen)
    if route := health_route(seen):
        notes.clue("health", route.path, route.file, route.line)
    return health_check(seen, port)


def _note_health_files(files: Files, project: NodeProject, seen: Seen) -> None:
    """Frameworks whose files are routes."""
    for name in ("health", "healthz"):
        for pattern, prefix in [(p, "/api") for p in _HEALTH_FILES] + [(p, "") for p in _HEALTH_ROOTS]:
            for suffix in ("ts", "js", "tsx"):
                path = join(project.root, f"{pattern.format(name)}.{suffix}")
                if files.exists(path):
                    seen.route(f"{prefix}/{name}", path, 1)


def _build(
    files: Files,
    project: NodeProject,
    framework: Framework | None,
    seen: Seen,
    program: Program,
    port: int | None,
    given: dict[str, str],
) -> NodeBuild:
    first = next(iter(commands.words(program.run)), "")
    baked = sorted({read.name for read in seen.env if read.name.startswith(_BUILD_SETTINGS)})
    folder = "." if project.root == project.context else project.root.removeprefix(join(project.context, ""))
    has_manifest = bool(project.manifests)
    script = _build_script(project)
    made = program.delivery.output or program.delivery.start
    return NodeBuild(
        version=project.version,
        start=program.run,
        manager=project.manager,
        major=project.major,
        locked=project.lock is not None,
        manifests=project.manifests,
        early=project.early,
        folder=folder,
        name=text_at(project.package, "name") or "",
        script=script,
        command=framework.build if framework and made and not script else "",
        turbo=project.turbo,
        skips=project.skips,
        output=program.delivery.output,
        site=replace(program.delivery.site or Site(), port=port or static.PORT),
        settings=program.delivery.settings,
        prune=program.delivery.output is None and has_manifest and not _needs_development(project, first),
        manager_at_run=_needs_manager(files, project, program),
        system=("openssl",) if "@prisma/client" in project.everything or "prisma" in project.everything else (),
        adds=program.adds,
        arguments=tuple(baked),
        port=port,
        env=tuple(given.items()),
    )


def _build_script(project: NodeProject) -> str | None:
    return next(
        (name for name in ("build", "build:prod", "build:production", "build-prod") if name in project.scripts), None
    )


def _needs_manager(files: Files, project: NodeProject, program: Program) -> bool:
    """The start command or the code calls one that Node doesn't bring with it."""
    if re.search(r"\b(?:pnpm|yarn|bun)\b", program.run):
        return True
    called = rf"\b(?:exec|spawn)\w{{0,12}}\(\s{{0,9}}[\"'`]{project.manager}\b"
    return project.manager != "npm" and any(files.grep(called, project.root, SUFFIXES))


def _needs_development(project: NodeProject, program: str) -> bool:
    """The program that is started comes from a development dependency."""
    package = {"nest": "@nestjs/cli", "remix-serve": "@remix-run/serve"}.get(program, program)
    loaders = {"ts-node", "tsx", "tsconfig-paths", "@babel/register", "babel-register", "esm", "dotenv", "dotenv-cli"}
    hidden = bool(project.development & loaders) and program == "node"
    typed_at_run = table(project.package, "prisma") and "prisma" in project.development
    return package in project.development or hidden or bool(typed_at_run)


def _workers(files: Files, project: NodeProject, seen: Seen, main: Program) -> list[Profile]:
    """Scripts beside `start` that run a worker."""
    found = [name for name in project.scripts if _WORKER_SCRIPT.fullmatch(name) and name != main.script]
    profiles = []
    for name in found[:4]:
        line = line_of(files.text(project.path), f'"{name}"')
        program = Program(shown(project, name), resolved(project, name), project.path, line, name)
        framework = None
        profiles.append(_profile(files, project, framework, seen, program, Notes()))
    return profiles
