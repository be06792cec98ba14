"""Dockerfiles, read with BuildKit's own parser."""

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import dockerfile

from iarnet.analysis.base import Clue, Declared, Files, Structure
from iarnet.analysis.folders import HOLDERS, aside, manifests, own_manifest
from iarnet.analysis.names import component_name, folder_name, is_inner, unique, words
from iarnet.analysis.structures.quantities import seconds
from iarnet.errors import InvalidComponent
from iarnet.models.analysis import Warning
from iarnet.models.component import Build, HealthCheck, Port

DEPTH, PLAIN_DEPTH = 4, 6
_PLAIN = ("Dockerfile", "Containerfile", "dockerfile", "containerfile")
FLAVOURS = words(
    "alpine debian ubuntu slim buster bullseye bookworm trixie focal jammy noble default distroless full arm arm64 "
    "armv7 amd64 rootless cuda gpu"
)
"""Names of the same program on another base."""
NOT_FOR_RUNNING = words("dev development local test tests testing ci debug base build builder lint docs")
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_]\w*)(?::?[-+]([^}]*))?\}|([A-Za-z_]\w*))")


@dataclass
class _Stage:
    name: str
    base: str
    settings: dict[str, str] = field(default_factory=dict)
    line: int = 1
    lines: dict[str, int] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    clues: list[Clue] = field(default_factory=list)
    parents: frozenset[str] = frozenset()
    """The stages that it comes from or copies from."""


class Dockerfile:
    """One component for each folder with a Dockerfile, or for each Dockerfile where a folder has several.

    One at the root that does not parse is refused; further down it is told and passed over.
    """

    name = "dockerfile"
    whole = False

    def read(self, files: Files) -> Structure | None:
        structure = Structure()
        plain = {posixpath.dirname(path) or "." for path in _found(files) if variant(path) == ""}
        for path in _found(files):
            folder = home(files, path)
            name = _label(path, folder)
            other = folder != (posixpath.dirname(path) or ".") and folder in plain and not variant(path)
            if not other and (name or folder not in [component.root for component in structure.components]):
                self._add(structure, files, path, folder, name)
        return structure if structure.components or structure.warnings else None

    def _add(self, structure: Structure, files: Files, path: str, folder: str, label: str) -> None:
        if missing := _unset(files, path):
            message = f"{path} builds nothing until somebody gives {missing}; it is passed over"
            structure.warnings.append(Warning(code="dockerfile-of-many", message=message, file=path))
            return
        name = unique(label, [c.name for c in structure.components]) if label else ""
        name = name or (folder_name(folder) if folder != "." else "")
        target = target_of(files, path)
        try:
            facts, clues = read_facts(files, path, target)
        except InvalidComponent as error:
            if folder == ".":
                raise
            structure.warnings.append(Warning(code="broken-dockerfile", message=error.message, file=path))
            return
        facts["build"] = Build(context=context_of(files, path), dockerfile=path, target=target)
        structure.components.append(Declared(name, folder, facts, [*clues, Clue("build", path, path, 1)]))


def dockerfiles(files: Files) -> list[str]:
    """Those that say how something runs: plain ones, else variants (`Dockerfile.api`); none for development, and none
    that is for many builds."""
    return [path for path in _found(files) if not _unset(files, path)]


def _found(files: Files) -> list[str]:
    return files.once("dockerfiles", lambda: [path for path in _all(files) if not _is_aside(files, path)])


def _is_aside(files: Files, path: str) -> bool:
    """Packing a program that lies elsewhere, in a folder for other purposes."""
    folder = posixpath.dirname(path) or "."
    return aside(folder) and home(files, path) != folder and posixpath.basename(folder).lower() not in HOLDERS


def _all(files: Files) -> list[str]:
    by_folder: dict[str, list[str]] = {}
    shallow = [path for path in files.paths(depth=DEPTH) if "ockerfile" in path or "ontainerfile" in path]
    for path in sorted({*shallow, *files.named(_PLAIN, depth=PLAIN_DEPTH)}):
        if variant(path) is not None and not _packs(path):
            by_folder.setdefault(posixpath.dirname(path), []).append(path)
    return [path for paths in by_folder.values() for path in _chosen(paths)]


def _packs(path: str) -> bool:
    """Quarkus puts files there that pack what Maven has built before: no clone has it. A development container
    runs an editor."""
    return "src/main/docker/" in path or ".devcontainer" in path.split("/")


def variant(path: str) -> str | None:
    """`` for a plain Dockerfile or one of several on other bases, `api` for `Dockerfile.api` or `api.Dockerfile`,
    None for another file."""
    name = posixpath.basename(path)
    if name in _PLAIN:
        return ""
    found = re.fullmatch(r"Dockerfile[.-]([\w.-]+)|([\w-]+)\.[Dd]ockerfile", name)
    if not found or name.endswith((".dockerignore", ".md", ".j2", ".tmpl", ".template", ".bak")):
        return None
    label = component_name(found[1] or found[2])
    return "" if label in FLAVOURS else label


def home(files: Files, path: str) -> str:
    """The folder that a Dockerfile is about: its own; the one above where it lies in `docker/` or the like; or that
    of a program which it copies from, where there is none beside it."""
    folder = posixpath.dirname(path) or "."
    if own_manifest(files, folder):
        return folder
    above = posixpath.dirname(folder) or "."
    if posixpath.basename(folder).lower() in HOLDERS or (is_inner(folder) and own_manifest(files, above)):
        return above
    context = _context(files, path, [folder, *_above(folder)])
    packs = context != folder and own_manifest(files, context) and not manifests(files, folder, 4)
    return context if packs else folder


def _label(path: str, folder: str) -> str:
    """What a Dockerfile is called beside others about the same folder; nothing for the plain one."""
    own = posixpath.dirname(path) or "."
    held = posixpath.basename(own).lower() in HOLDERS or is_inner(own)
    plain = own == folder or (held and posixpath.dirname(own) in (folder, ""))
    named = "" if plain else component_name(posixpath.basename(own))
    return variant(path) or ("" if named in FLAVOURS else named)


def context_of(files: Files, path: str) -> str:
    """The folder relative to which most of what it copies lies: its home, its own one, or the nearest above."""
    folder = posixpath.dirname(path) or "."
    return _context(files, path, list(dict.fromkeys([home(files, path), folder, *_above(folder)])))


def _context(files: Files, path: str, folders: list[str]) -> str:
    copied = [source for source in _copied(files, path) if not _VARIABLE.search(source)]
    present = {folder: sum(_present(files, folder, source) for source in copied) for folder in folders}
    return max(folders, key=lambda folder: (present[folder], -folders.index(folder)))


def read_facts(files: Files, path: str, target: str | None = None) -> tuple[dict[str, Any], list[Clue]]:
    """What the last stage (or `target`) says, as fields of Component, with what it inherits from earlier stages.

    Raises `InvalidComponent` with file and line.
    """
    stages = list(_stages(_commands(files, path), path))
    if not stages:
        raise InvalidComponent("a Dockerfile without FROM", where=f"{path}:1")
    stage = stages[-1] if target is None else next((s for s in stages if s.name == target.lower()), None)
    if stage is None:
        names = ", ".join(s.name for s in stages if s.name)
        raise InvalidComponent(f"{path} has no stage {target!r}", where=path, hint=f"stages: {names}")
    if "ports" not in stage.facts:
        _settings_as_ports(stage, path)
    inherited = _inherited(stage.base)
    if inherited and "ports" not in stage.facts:
        _note(stage, "ports", (Port(port=inherited),), path, stage.line, shown=stage.base)
    return dict(stage.facts), list(stage.clues)


def target_of(files: Files, path: str) -> str | None:
    """The stage to build where nobody says which. None for the last one, unless that has a name of its own, and
    nothing in it of one that is called as for release and starts something."""
    try:
        stages = list(_stages(_commands(files, path), path))
    except InvalidComponent:
        return None
    if not stages or not stages[-1].name or _is_released(stages[-1]):
        return None
    released = (s for s in reversed(stages) if _is_released(s) and "start_command" in s.facts)
    return next((stage.name for stage in released if stage.name not in stages[-1].parents), None)


def _is_released(stage: _Stage) -> bool:
    said = set(re.split(r"[-_.]", stage.name))
    return not said.isdisjoint(_RELEASED) and said.isdisjoint(NOT_FOR_RUNNING)


_RELEASED = words("release released production prod final")


def _unset(files: Files, path: str) -> str:
    """An argument without a default on which depends what is copied, or from which image: it is for many builds."""
    try:
        commands = _commands(files, path)
    except InvalidComponent:
        return ""
    given: dict[str, bool] = {}
    for command in commands:
        verb, value = command.cmd.upper(), command.value
        if verb == "ARG":
            given |= {name: bool(text) or given.get(name, False) for name, text in _arguments(command).items()}
        used = value[:1] if verb == "FROM" else value[:-1] if verb in ("COPY", "ADD") else ()
        for found in (found for text in used for found in _VARIABLE.finditer(text)):
            name = found[1] or found[3]
            if given.get(name) is False and not found[2] and not _GIVEN.match(name):
                return name
    return ""


_GIVEN = re.compile(r"(?:TARGET|BUILD)(?:PLATFORM|OS|ARCH|VARIANT)$")
"""What BuildKit sets (https://docs.docker.com/reference/dockerfile/#automatic-platform-args-in-the-global-scope)."""


def base_image(files: Files, path: str, target: str | None = None) -> tuple[str, dict[str, str]]:
    """The image that the last stage (or `target`) comes from in the end, and the settings that the file gives it."""
    try:
        stages = list(_stages(_commands(files, path), path))
    except InvalidComponent:
        return "", {}
    chosen = [s for s in stages if target is None or s.name == target.lower()][-1:]
    return next(((s.base, {name: s.settings[name] for name in s.lines}) for s in chosen), ("", {}))


def port_settings(files: Files, path: str, target: str | None = None) -> dict[str, tuple[int, int]]:
    """The numbers that `ENV` gives to settings, which a program may take for its port; with their lines."""
    try:
        stages = list(_stages(_commands(files, path), path))
    except InvalidComponent:
        return {}
    stage = [s for s in stages if target is None or s.name == target.lower()][-1:]
    return {name: (int(s.settings[name]), line) for s in stage for name, line in s.lines.items() if _is_port(s, name)}


def _inherited(image: str) -> int | None:
    """The port that a server's own image exposes, and with it every image that is made from it."""
    name, _, tag = image.partition(":")
    short = name.rsplit("/", 1)[-1]
    return 80 if short == "php" and "apache" in tag else _SERVERS.get(short)


_SERVERS = {"nginx": 80, "httpd": 80, "caddy": 80, "traefik": 80, "wordpress": 80, "tomcat": 8080, "jetty": 8080,
            "nginx-unprivileged": 8080, "frankenphp": 80, "ghost": 2368, "openresty": 80}  # fmt: skip


def _settings_as_ports(stage: _Stage, path: str) -> None:
    """Where nothing is exposed, settings that are named like the port of a server."""
    found = [name for name in stage.lines if _PORT_NAME.fullmatch(name) and _is_port(stage, name)]
    if found:
        ports = tuple(dict.fromkeys(Port(port=int(stage.settings[name])) for name in found))
        _note(stage, "ports", ports, path, stage.lines[found[0]], shown=" ".join(found))


_PORT_NAME = re.compile(r"(?!DB|DATABASE|POSTGRES|MYSQL|REDIS|RABBIT|MONGO|KAFKA|SMTP|MAIL)"
                        r"(?:(?:\w+_)?(?:SERVER|HTTPS?|APP|LISTEN|NODE|WEB)_(?:\w+_)?)?PORT")  # fmt: skip


def _is_port(stage: _Stage, name: str) -> bool:
    value = stage.settings.get(name, "")
    return re.fullmatch(r"[1-9]\d{1,4}", value) is not None and int(value) < 65536


def _chosen(paths: list[str]) -> list[str]:
    plain = sorted((path for path in paths if variant(path) == ""), key=_plainness)
    production = [path for path in paths if variant(path) in ("prod", "production")]
    if plain or production:
        return (plain or production)[:1]
    return [path for path in paths if NOT_FOR_RUNNING.isdisjoint((variant(path) or "").split("-"))]


def _plainness(path: str) -> tuple[bool, bool, str]:
    name = posixpath.basename(path)
    return name not in _PLAIN, "default" not in name, name


def _commands(files: Files, path: str) -> tuple[Any, ...]:
    text = files.text(path)
    if text is None:
        raise InvalidComponent(f"{path} can't be read as text", where=path)
    try:
        return files.once(f"dockerfile {path}", lambda: _parsed(text))
    except ValueError as error:
        raise InvalidComponent(f"{path} does not parse: {error}", where=f"{path}:1") from error


def _parsed(text: str) -> tuple[Any, ...]:
    return tuple(command for command in dockerfile.parse_string(text) if command.cmd)


def _copied(files: Files, path: str) -> list[str]:
    """Paths of its context; where it copies all of it, also the folders of that in which it works."""
    try:
        commands = _commands(files, path)
    except InvalidComponent:
        return []
    found: list[str] = []
    folder, whole = "/", ""
    for command in commands:
        verb, value = command.cmd.upper(), command.value
        if verb == "FROM":
            folder, whole = "/", ""
        elif verb == "WORKDIR" and value:
            folder = posixpath.normpath(posixpath.join(folder, value[0].strip("\"'")))
            if whole and folder.startswith(f"{whole.rstrip('/')}/"):
                found.append(posixpath.relpath(folder, whole))
        elif verb in ("COPY", "ADD") and not any("--from" in flag for flag in command.flags):
            sources = [source for source in value[:-1] if "://" not in source and "<<" not in source]
            found += sources
            if {".", "./"} & set(sources):
                whole = posixpath.normpath(posixpath.join(folder, value[-1]))
    return found


def _above(folder: str) -> list[str]:
    parts = folder.split("/")
    return ["/".join(parts[:count]) or "." for count in range(len(parts) - 1, -1, -1)]


def _present(files: Files, folder: str, source: str) -> bool:
    path = posixpath.normpath(posixpath.join(folder, source.lstrip("/") or "."))
    stem = re.split(r"[*?[]", path)[0]
    if stem in (".", folder):
        return True
    if stem == path:
        return files.exists(path) or bool(files.paths(path))
    return any(found.startswith(stem) for found in files.paths(posixpath.dirname(stem) or "."))


def _stages(commands: tuple[Any, ...], path: str) -> Iterator[_Stage]:
    arguments: dict[str, str] = {}
    stages: dict[str, _Stage] = {}
    stage: _Stage | None = None
    for command in commands:
        verb = command.cmd.upper()
        if verb == "FROM":
            if stage:
                yield stage
            stage = _from(command, stages, arguments)
            stages[stage.name] = stage
        elif stage is None:
            arguments.update(_arguments(command) if verb == "ARG" else {})
        else:
            _instruction(stage, verb, command, path, arguments)
    if stage:
        yield stage


def _from(command: Any, stages: dict[str, _Stage], arguments: dict[str, str]) -> _Stage:
    base = _expand(command.value[0], arguments) if command.value else "scratch"
    named = len(command.value) == 3 and command.value[1].upper() == "AS"
    stage = _Stage(command.value[2].lower() if named else "", base, line=command.start_line)
    earlier = stages.get(base.lower())
    if earlier:
        stage.settings, stage.facts, stage.clues = dict(earlier.settings), dict(earlier.facts), list(earlier.clues)
        stage.lines, stage.base = dict(earlier.lines), earlier.base
        stage.parents = earlier.parents | {earlier.name}
    return stage


def _instruction(stage: _Stage, verb: str, command: Any, path: str, arguments: dict[str, str]) -> None:
    line, value = command.start_line, command.value
    if verb == "ARG":
        given = _arguments(command)
        stage.settings |= {name: given[name] or arguments.get(name, "") for name in given}
    elif verb == "ENV":
        pairs = zip(value[::2], value[1::2], strict=False)
        given = {name: _expand(text.strip("\"'"), stage.settings) for name, text in pairs}
        stage.settings |= given
        stage.lines |= dict.fromkeys(given, line)
    elif verb == "EXPOSE":
        _expose(stage, [_expand(text, stage.settings) for text in value], path, line)
    elif verb in ("COPY", "ADD"):
        stage.parents |= {flag.partition("=")[2].lower() for flag in command.flags if flag.startswith("--from=")}
    elif verb == "USER" and value:
        _note(stage, "user", _expand(value[0], stage.settings), path, line)
    elif verb == "HEALTHCHECK":
        _health(stage, command, path, line)
    elif verb in ("CMD", "ENTRYPOINT") and value:
        _start(stage, verb, command, path, line)


def _start(stage: _Stage, verb: str, command: Any, path: str, line: int) -> None:
    """The image carries both; `start_command` only shows what will run."""
    stage.settings[f" {verb}"] = " ".join(command.value)
    if verb == "ENTRYPOINT":
        stage.settings.pop(" CMD", None)
    shown = " ".join(filter(None, (stage.settings.get(" ENTRYPOINT"), stage.settings.get(" CMD"))))
    _note(stage, "start_command", shown, path, line)


def _expose(stage: _Stage, texts: list[str], path: str, line: int) -> None:
    ports = list(stage.facts.get("ports", ()))
    for text in texts:
        found = re.fullmatch(r"([0-9]{1,5})(?:/(tcp|udp))?", text.strip("\"'").lower())
        if found and 0 < int(found[1]) < 65536:
            ports.append(Port(port=int(found[1]), protocol="udp" if found[2] == "udp" else "http"))
    if ports:
        _note(stage, "ports", tuple(dict.fromkeys(ports)), path, line, shown=" ".join(texts))


def _health(stage: _Stage, command: Any, path: str, line: int) -> None:
    if not command.value or command.value[0].upper() == "NONE":
        stage.facts.pop("health", None)
        return
    test = tuple(command.value[1:])
    if not test:
        return
    options = dict(flag[2:].split("=", 1) for flag in command.flags if "=" in flag)
    where = f"{path}:{line}"
    timing = {
        field_name: seconds(options[option], where) or default
        for option, field_name, default in _TIMINGS
        if option in options
    }
    retries = int(options["retries"]) if options.get("retries", "").isdigit() else 3
    health = HealthCheck(
        type="command",
        command=test if command.json else ("/bin/sh", "-c", test[0]),
        retries=max(1, min(retries, 1000)),
        **timing,
    )
    _note(stage, "health", health, path, line, shown=" ".join(test))


_TIMINGS = (
    ("interval", "interval_s", 30.0),
    ("timeout", "timeout_s", 30.0),
    ("start-period", "start_period_s", 120.0),
)


def _note(stage: _Stage, name: str, value: Any, path: str, line: int, shown: str = "") -> None:
    stage.facts[name] = value
    stage.clues = [clue for clue in stage.clues if clue.field != name]
    stage.clues.append(Clue(name, shown or str(value), path, line))


def _arguments(command: Any) -> dict[str, str]:
    pairs = (text.partition("=") for text in command.value)
    return {name: value.strip("\"'") for name, _, value in pairs}


def _expand(text: str, settings: dict[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        return settings.get(found[1] or found[3]) or found[2] or ""

    return _VARIABLE.sub(value, text)
