"""Python: pip, uv, poetry, pdm, pipenv; web frameworks, data pages, task queues, scripts."""

import sys
from dataclasses import dataclass, field
from posixpath import basename

from packaging.utils import canonicalize_name

from iarnet.analysis.base import Files, Profile
from iarnet.analysis.ecosystems import commands
from iarnet.analysis.ecosystems.manifests import join, line_of, names, sources
from iarnet.analysis.ecosystems.notes import Notes
from iarnet.analysis.ecosystems.python_code import Module, adopt_factory_calls, read_module
from iarnet.analysis.ecosystems.python_manifests import MANIFESTS, PythonProject, read_project
from iarnet.analysis.ecosystems.python_network import mounts_with_prefix, note_network
from iarnet.analysis.ecosystems.python_programs import ENTRIES, SERVER_PORTS, Program, declared_program, find_programs
from iarnet.analysis.ecosystems.python_settings import note_settings
from iarnet.analysis.ecosystems.sightings import (
    LOOPBACK,
    Listen,
    Protocol,
    Seen,
    health_check,
    health_route,
    opened,
    ports,
    resolve,
    settings,
)
from iarnet.analysis.ecosystems.sizes import size
from iarnet.analysis.recipes.python import PythonBuild, python_recipe
from iarnet.models.component import HealthCheck

_FRAMEWORKS = ("django", "streamlit", "gradio", "fastapi", "litestar", "quart", "sanic", "flask", "dash", "falcon",
               "bottle", "aiohttp", "tornado", "starlette", "celery", "dramatiq", "rq")  # fmt: skip
_PACKAGE_OF = {"cv2": "opencv-python-headless", "yaml": "pyyaml", "PIL": "pillow", "sklearn": "scikit-learn",
               "bs4": "beautifulsoup4", "dotenv": "python-dotenv",
               "psycopg2": "psycopg2-binary", "jwt": "pyjwt", "MySQLdb": "mysqlclient",
               "dateutil": "python-dateutil", "socketio": "python-socketio", "flask_cors": "flask-cors",
               "flask_sqlalchemy": "flask-sqlalchemy", "pydantic_settings": "pydantic-settings"}  # fmt: skip


@dataclass
class _Reading:
    """Everything read from one folder."""

    root: str
    project: PythonProject
    modules: list[Module]
    seen: Seen
    notes: Notes = field(default_factory=Notes)


class Python:
    name = "python"

    def recognise(self, files: Files, root: str, start: str | None = None) -> Profile | None:
        present = names(files, root)
        declares = any(
            name in MANIFESTS or (name.startswith("requirements") and name.endswith(".txt")) for name in present
        )
        runs = any(name in ENTRIES for name in present)
        named = start is not None and any(name.endswith(".py") for name in present)
        if not (declares or runs or named):
            return None
        reading = _read(files, root)
        programs = _programs(files, reading, start)
        if not programs:
            return _library(reading) if reading.project.declared and _has_code(files, root) else None
        profiles = [_profile(files, reading, program, main=index == 0) for index, program in enumerate(programs)]
        return _with_workers(profiles[0], tuple(profiles[1:]))


def _read(files: Files, root: str) -> _Reading:
    notes, seen = Notes(), Seen()
    project = read_project(files, root, notes)
    paths = sources(files, root, (".py",), MANIFESTS)
    read = (read_module(path, files.text(path), always=basename(path) in ENTRIES) for path in paths)
    modules = [module for module in read if module]
    adopt_factory_calls(modules)
    framework_of = {app.name: app.framework for module in modules for app in module.apps if not app.factory}
    prefixed = mounts_with_prefix(modules)
    for module in modules:
        note_settings(module, seen)
        note_network(module, seen, framework_of, prefixed=prefixed)
    resolve(seen)
    reading = _Reading(root, project, modules, seen, notes)
    if not project.declared:
        _guess_dependencies(files, reading)
    return reading


def _programs(files: Files, reading: _Reading, start: str | None) -> list[Program]:
    seen, project = reading.seen, reading.project
    http = Seen(listens=[listen for listen in seen.listens if listen.protocol == "http"])
    found = opened(http)
    known_port = found.port if found else None

    def port_of(framework: str) -> int:
        return known_port or SERVER_PORTS.get(framework, 8000)

    programs = find_programs(files, reading.root, reading.modules, project.dependencies, port_of)
    if start is None:
        return programs or _console_script(reading)
    framework = programs[0].framework if programs else _declared_framework(project)
    return [declared_program(start, reading.modules, reading.root, framework)]


def _console_script(reading: _Reading) -> list[Program]:
    """A command that the project installs is a program to deploy only when some code behind it serves."""
    if not reading.project.scripts or not reading.seen.listens:
        return []
    name = min(reading.project.scripts, key=len)
    file = join(reading.root, "pyproject.toml")
    return [Program(name, None, "api", file, listens=True, confidence=0.5)]


def _declared_framework(project: PythonProject) -> str | None:
    return next((name for name in _FRAMEWORKS if name in project.dependencies), None)


def _guess_dependencies(files: Files, reading: _Reading) -> None:
    """Without a manifest what the code imports is what it needs."""
    tops = {name.split(".")[0] for module in reading.modules for name in module.imports}
    local = {
        path.removeprefix(join(reading.root, "")).split("/")[0].removesuffix(".py")
        for path in files.paths(reading.root)
    }
    foreign = sorted(top for top in tops - sys.stdlib_module_names - local if top)
    reading.project.wanted = [_PACKAGE_OF.get(top, top) for top in foreign]
    reading.project.dependencies = {canonicalize_name(name) for name in reading.project.wanted}
    if foreign:
        message = f"no requirements file; the imports say {', '.join(reading.project.wanted)}, of any version"
        reading.notes.warn("no-manifest", message, reading.root if reading.root != "." else None)


def _library(reading: _Reading) -> Profile:
    framework = _declared_framework(reading.project)
    return Profile(
        root=reading.root,
        language="python",
        framework=framework,
        kind="job",
        env=settings(reading.seen.env, reading.notes),
        dependencies=frozenset(reading.project.dependencies),
        context=reading.root,
        clues=tuple(reading.notes.clues),
        warnings=tuple(reading.notes.warnings),
        runnable=False,
    )


def _has_code(files: Files, root: str) -> bool:
    return any(path.endswith(".py") for path in files.paths(root, 3))


def _profile(files: Files, reading: _Reading, program: Program, *, main: bool) -> Profile:
    notes = reading.notes if main else Notes()
    listen = opened(reading.seen, program.file) if program.file_only else None
    port, protocol = _port(reading, program, listen)
    given = _given(program, port, listen)
    env = settings(reading.seen.env, notes, given)
    _explain(files, program, port, listen, notes)
    health = _health(reading, program, port, notes)
    return Profile(
        root=reading.root,
        language="python",
        framework=program.framework,
        kind="web" if program.kind == "api" and reading.seen.pages else program.kind,
        start_command=program.start,
        ports=ports(port, protocol),
        env=env,
        health=health,
        resources=size(program.framework or "python", reading.project.dependencies),
        dependencies=frozenset(reading.project.dependencies),
        recipe=python_recipe(_build(reading.project, program, port, given)),
        context=reading.root,
        clues=tuple(notes.clues),
        warnings=tuple(notes.warnings),
    )


def _with_workers(profile: Profile, workers: tuple[Profile, ...]) -> Profile:
    return Profile(**{**profile.__dict__, "workers": workers})


def _port(reading: _Reading, program: Program, listen: Listen | None) -> tuple[int | None, Protocol]:
    if not program.listens:
        return None, "http"
    usual = SERVER_PORTS.get(program.framework or "", 8000)
    if port := commands.port_in(program.start):
        return port, "http"
    if listen:
        return listen.port or usual, listen.protocol
    seen = opened(reading.seen) if not commands.port_variable(program.start) and not program.needs else None
    return (seen.port if seen else None) or usual, "http"


def _given(program: Program, port: int | None, listen: Listen | None) -> dict[str, str]:
    """Values that make the program listen where we say: on this port, on every address."""
    given: dict[str, str] = {}
    variable = commands.port_variable(program.start) or (listen.env if listen else None)
    if port and variable:
        given[variable] = str(port)
    if program.framework == "gradio":
        given["GRADIO_SERVER_NAME"] = "0.0.0.0"
    return given


def _explain(files: Files, program: Program, port: int | None, listen: Listen | None, notes: Notes) -> None:
    notes.clue("language", "python", program.file, None)
    notes.clue("start_command", program.start, program.file, program.line, program.confidence)
    if program.framework:
        notes.clue("framework", program.framework, program.file, program.line or _import_line(files, program))
    if port and listen and listen.port:
        notes.clue("ports", port, listen.file, listen.line)
    elif port:
        notes.clue("ports", port, program.file, program.line, 0.6 if commands.port_in(program.start) is None else 0.9)
    if listen and listen.host in LOOPBACK and "GRADIO" not in (listen.env or ""):
        message = f"listens on {listen.host} only, so nothing outside the container reaches it; 0.0.0.0 would do"
        notes.warn("loopback", message, listen.file, listen.line)


def _import_line(files: Files, program: Program) -> int | None:
    return line_of(files.text(program.file), program.framework or "")


def _health(reading: _Reading, program: Program, port: int | None, notes: Notes) -> HealthCheck | None:
    if not program.listens:
        return None
    if route := health_route(reading.seen):
        notes.clue("health", route.path, route.file, route.line)
    return health_check(reading.seen, port)


def _build(project: PythonProject, program: Program, port: int | None, given: dict[str, str]) -> PythonBuild:
    adds = tuple(need for need in program.needs if canonicalize_name(need.split("[")[0]) not in project.dependencies)
    first = next(iter(commands.words(program.start)), "")
    in_package = project.packaged and (first in project.scripts or f"/{program.file}".find("/src/") >= 0)
    return PythonBuild(
        version=project.version,
        start=program.start,
        manager=project.manager,
        copies=tuple(project.copies),
        requirements=project.requirements,
        wanted=tuple(project.wanted),
        adds=adds,
        dependencies=frozenset(project.dependencies),
        vcs=project.vcs,
        install_project=in_package,
        port=port,
        env=tuple(given.items()),
    )
