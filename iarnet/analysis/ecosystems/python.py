"""Python: pip, uv, poetry, pdm, pipenv; web frameworks, data pages, task queues, scripts."""

import re
import sys
from dataclasses import dataclass
from posixpath import basename

from packaging.utils import canonicalize_name

from iarnet.analysis.base import Files, Profile
from iarnet.analysis.ecosystems import commands
from iarnet.analysis.ecosystems.commands import TOOLS
from iarnet.analysis.ecosystems.manifests import join, line_of, names, shows, sources
from iarnet.analysis.ecosystems.notes import Notes
from iarnet.analysis.ecosystems.python_code import TELLING, Module, adopt_factory_calls, read_module
from iarnet.analysis.ecosystems.python_imports import reached
from iarnet.analysis.ecosystems.python_manifests import MANIFESTS, PythonProject, read_project
from iarnet.analysis.ecosystems.python_network import mounts_with_prefix, note_network
from iarnet.analysis.ecosystems.python_program import Program
from iarnet.analysis.ecosystems.python_programs import (
    ENTRIES,
    LOOPS,
    SERVER_PORTS,
    declared_program,
    find_programs,
)
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
from iarnet.analysis.folders import MANIFESTS as FOLDERS_WITH
from iarnet.analysis.recipes.python import PythonBuild, python_recipe
from iarnet.models.component import ComponentKind

_FRAMEWORKS = ("django", "streamlit", "gradio", "python-fasthtml", "fastapi", "litestar", "quart", "sanic", "flask",
               "dash", "falcon", "bottle", "aiohttp", "tornado", "starlette", "celery", "dramatiq", "rq")  # fmt: skip
_PACKAGE_OF = {"cv2": "opencv-python-headless", "yaml": "pyyaml", "PIL": "pillow", "sklearn": "scikit-learn",
               "bs4": "beautifulsoup4", "dotenv": "python-dotenv",
               "psycopg2": "psycopg2-binary", "jwt": "pyjwt", "MySQLdb": "mysqlclient",
               "dateutil": "python-dateutil", "socketio": "python-socketio", "flask_cors": "flask-cors",
               "flask_sqlalchemy": "flask-sqlalchemy", "pydantic_settings": "pydantic-settings"}  # fmt: skip


@dataclass
class _Reading:
    """Everything read from one folder. `paths` are all its source files, `modules` those with something of interest,
    `shown` what each of these shows, by path."""

    root: str
    project: PythonProject
    paths: list[str]
    modules: list[Module]
    notes: Notes
    shown: dict[str, Seen]

    def seen(self, within: frozenset[str] | None = None) -> Seen:
        """What the modules show, or those of them whose path is in `within`."""
        seen = Seen()
        for path, shown in self.shown.items():
            if within is None or path in within:
                seen.add(shown)
        resolve(seen)
        return seen


PARSED, MOST = 200_000, 400_000
"""Characters, of the files nearest to the root; beyond the first only those that tell most are parsed, and beyond the
second only those that are asked for."""
OTHERS = FOLDERS_WITH - frozenset(MANIFESTS)
"""Beside one of these, a script is no program that a command in another language may mean."""


class Python:
    name = "python"

    def recognise(self, files: Files, root: str, start: str | None = None) -> Profile | None:
        present = names(files, root)
        declares = any(
            name in MANIFESTS or (name.startswith("requirements") and name.endswith(".txt")) for name in present
        )
        runs = any(name in ENTRIES for name in present)
        named = _speaks_python(start or "") and any(name.endswith(".py") for name in present)
        if not (declares or runs or named) or (start and not (declares or named) and present & OTHERS):
            return None
        reading = _read(files, root, start or "")
        programs = _programs(files, reading, start)
        if not programs:
            return _library(reading) if reading.project.declared and reading.paths else None
        profiles = [_profile(files, reading, program, main=index == 0) for index, program in enumerate(programs)]
        return Profile(**{**profiles[0].__dict__, "workers": tuple(profiles[1:])})


def _speaks_python(start: str) -> bool:
    return ".py" in start or TOOLS.get(next(iter(commands.words(start)), "")) == "python"


def _read(files: Files, root: str, start: str) -> _Reading:
    notes = Notes()
    project = read_project(files, root, notes)
    paths = sources(files, root, (".py",), MANIFESTS)
    modules, shown = files.once(f"python {root}", lambda: _modules(files, paths, set(ENTRIES)))
    named = {f"{name}.py" for name in re.findall(r"(\w+)(?:\.py\b|:\w+|\s|$)", start)}
    if {path for path in paths if basename(path) in named} - {module.path for module in modules}:
        modules, shown = _modules(files, paths, named | set(ENTRIES))
    reading = _Reading(root, project, paths, modules, notes, shown)
    if not project.declared:
        _guess_dependencies(files, reading)
    return reading


def _modules(files: Files, paths: list[str], always: set[str]) -> tuple[list[Module], dict[str, Seen]]:
    """Those that parse and may matter, with what they show. `always`: names of files that matter anyway."""
    modules: list[Module] = []
    parsed = 0
    for path in paths:
        text, asked = files.text(path) or "", basename(path) in always
        if asked or parsed < PARSED or (parsed < MOST and shows(TELLING, text)):
            module = read_module(path, text, always=asked)
            modules += [module] if module else []
            parsed += len(text) if module else 0
    adopt_factory_calls(modules)
    return modules, _shown(modules)


def _shown(modules: list[Module]) -> dict[str, Seen]:
    framework_of = {app.name: app.framework for module in modules for app in module.apps if not app.factory}
    prefixed = mounts_with_prefix(modules)
    shown = {module.path: Seen() for module in modules}
    for module in modules:
        note_settings(module, shown[module.path])
        note_network(module, shown[module.path], framework_of, prefixed=prefixed)
    return shown


def _programs(files: Files, reading: _Reading, start: str | None) -> list[Program]:
    http = [listen for listen in reading.seen().listens if listen.protocol == "http"]
    found = opened(Seen(listens=http))
    known_port = found.port if found else None

    def port_of(framework: str) -> int:
        return known_port or SERVER_PORTS.get(framework, 8000)

    programs = find_programs(files, reading.root, reading.modules, reading.project.dependencies, port_of)
    if start is None:
        return programs or _console_script(files, reading) or _unread(files, reading)
    framework = programs[0].framework if programs else _declared_framework(reading.project)
    return [declared_program(start, reading.modules, reading.root, framework)]


def _console_script(files: Files, reading: _Reading) -> list[Program]:
    """A command that the project installs is a program to deploy when some code behind it serves, or when it is all
    that the repository holds."""
    scripts = reading.project.scripts
    serves = bool(reading.seen().listens)
    alone = len(scripts) == 1 and len(files.named(("pyproject.toml",))) == 1
    if not scripts or not (serves or alone):
        return []
    file = join(reading.root, "pyproject.toml")
    return [Program(min(scripts, key=len), None, "api" if serves else "job", file, listens=serves, confidence=0.5)]


def _unread(files: Files, reading: _Reading) -> list[Program]:
    """A file with the usual name that this Python can't parse, as it is written for Python 2."""
    name = next((name for name in ENTRIES if join(reading.root, name) in reading.paths), None)
    if name is None or not re.search(
        r"^[ \t]{0,40}print[ \t]{1,9}[\"'\w]", files.text(join(reading.root, name)) or "", re.MULTILINE
    ):
        return []
    return [Program(f"python {name}", None, "job", join(reading.root, name), confidence=0.6)]


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
        env=settings(reading.seen().env, reading.notes),
        dependencies=frozenset(reading.project.dependencies),
        context=reading.root,
        clues=tuple(reading.notes.clues),
        warnings=tuple(reading.notes.warnings),
        runnable=False,
    )


def _profile(files: Files, reading: _Reading, program: Program, *, main: bool) -> Profile:
    notes = reading.notes if main else Notes()
    within = _within(files, reading, program)
    seen = reading.seen(within)
    listen = opened(seen, program.file if program.file_only else None)
    port, protocol = _port(program, listen)
    given = _given(program, port, listen if program.file_only else None)
    env = settings(seen.env, notes, given)
    _explain(files, program, port, listen, notes)
    if program.listens and (route := health_route(seen)):
        notes.clue("health", route.path, route.file, route.line)
    return Profile(
        root=reading.root,
        language="python",
        framework=program.framework,
        kind=_kind(reading, program, seen, within),
        start_command=program.start,
        ports=ports(port, protocol),
        env=env,
        health=health_check(seen, port) if program.listens else None,
        resources=size(program.framework or "python", reading.project.dependencies),
        dependencies=frozenset(reading.project.dependencies),
        recipe=python_recipe(_build(reading, program, port, given)),
        context=reading.project.context or reading.root,
        clues=tuple(notes.clues),
        warnings=tuple(notes.warnings),
    )


def _within(files: Files, reading: _Reading, program: Program) -> frozenset[str] | None:
    """The files that belong to the program; None where a framework finds its modules by itself."""
    if program.framework in ("django", "celery", "dramatiq", "rq") or program.file not in reading.paths:
        return None
    found = reached(files, reading.root, reading.paths, program.file)
    beside = [path for path in reading.paths if "/pages/" in f"/{path}"] if program.framework == "streamlit" else []
    return found.union(beside)


def _kind(reading: _Reading, program: Program, seen: Seen, within: frozenset[str] | None) -> ComponentKind:
    """A program that waits in a loop, be it in a file that it imports, is a worker and not a job."""
    if program.kind == "api" and seen.pages:
        return "web"
    texts = (module.text for module in reading.modules if within and module.path in within)
    if (
        program.kind == "job"
        and commands.kind_of(program.start) is None
        and any(LOOPS.search(text) for text in texts)
    ):
        return "worker"
    return program.kind


def _port(program: Program, listen: Listen | None) -> tuple[int | None, Protocol]:
    if not program.listens:
        return None, "http"
    usual = SERVER_PORTS.get(program.framework or "", 8000)
    if port := commands.port_in(program.start):
        return port, "http"
    if listen and (program.file_only or not (commands.port_variable(program.start) or program.needs)):
        return listen.port or usual, listen.protocol
    return usual, "http"


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
    if port and listen and listen.port == port:
        notes.clue("ports", port, listen.file, listen.line)
    elif port:
        notes.clue("ports", port, program.file, program.line, 0.6 if commands.port_in(program.start) is None else 0.9)
    if program.file_only and listen and listen.host in LOOPBACK and "GRADIO" not in (listen.env or ""):
        message = f"listens on {listen.host} only, so nothing outside the container reaches it; 0.0.0.0 would do"
        notes.warn("loopback", message, listen.file, listen.line)


def _import_line(files: Files, program: Program) -> int | None:
    return line_of(files.text(program.file), program.framework or "")


def _build(reading: _Reading, program: Program, port: int | None, given: dict[str, str]) -> PythonBuild:
    project, root = reading.project, reading.root
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
        member=project.member,
        folder=root.removeprefix(join(project.context, "")) if project.context else ".",
    )
