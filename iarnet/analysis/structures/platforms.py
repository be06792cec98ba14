"""Files in which platforms are told how to start one folder: Railpack, Railway, Nixpacks, Fly, Heroku."""

import posixpath
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from iarnet.analysis import jsonc
from iarnet.analysis.base import Clue, Declared, Files, Structure
from iarnet.analysis.names import component_name
from iarnet.analysis.structures.nodes import load
from iarnet.errors import InvalidComponent
from iarnet.models.analysis import Warning
from iarnet.models.component import ComponentKind, EnvVar, Port

DEPTH = 3
LIMIT = 200_000
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,255}")


@dataclass(frozen=True)
class Process:
    """`name` is empty for the only one. `needle` is where in the file it says so."""

    command: str
    needle: str
    name: str = ""


@dataclass(frozen=True)
class Said:
    processes: tuple[Process, ...] = ()
    port: int | None = None
    env: tuple[tuple[str, str], ...] = ()


class Platforms:
    name = "platforms"
    whole = False

    def read(self, files: Files) -> Structure | None:
        structure = Structure()
        for path in files.named(_READERS, depth=DEPTH):
            reader, text = _READERS[posixpath.basename(path)], files.text(path)
            if text is None or len(text) > LIMIT:
                continue
            try:
                document = _parsed(files, path, text)
            except (ValueError, RecursionError, InvalidComponent) as error:
                message = f"{path} can't be read: {str(error)[:200]}"
                structure.warnings.append(Warning(code="broken-manifest", message=message, file=path))
                continue
            structure.components += _declared(path, text, reader(document))
        return structure if structure.components or structure.warnings else None


def _parsed(files: Files, path: str, text: str) -> dict[str, Any]:
    if path.endswith(".toml"):
        return tomllib.loads(text)
    if path.endswith(".yml"):
        return _plain(load(files, path).value)
    return jsonc.loads(text)


def _plain(value: Any) -> dict[str, Any]:
    """The values in nodes, two levels deep: all that is looked at."""
    if not isinstance(value, dict):
        return {}
    return {
        key: {k: n.raw for k, n in node.value.items()} for key, node in value.items() if isinstance(node.value, dict)
    }


def _declared(path: str, text: str, said: Said) -> Iterator[Declared]:
    folder = posixpath.dirname(path) or "."
    for process in said.processes:
        own = component_name(process.name) if process.name else ""
        prefixed = own if folder == "." or not own else component_name(f"{posixpath.basename(folder)}-{own}")
        facts: dict[str, Any] = {"start_command": process.command}
        line = _line(text, process.needle)
        clues = [Clue("start_command", process.command, path, line)]
        if kind := _kind(process.name):
            facts["kind"] = kind
        if said.port and kind != "worker":
            facts["ports"] = (Port(port=said.port),)
            clues.append(Clue("ports", str(said.port), path, _line(text, str(said.port))))
        if said.env:
            facts["env"] = tuple(
                EnvVar(name=name, value=value) for name, value in said.env if _ENV_NAME.fullmatch(name)
            )
            clues += [Clue(f"env.{name}", value, path, _line(text, name)) for name, value in said.env]
        yield Declared(prefixed, folder, facts, clues)


def _kind(process: str) -> ComponentKind | None:
    if not process:
        return None
    return "web" if process in ("web", "app") else "job" if process in ("release", "migrate") else "worker"


def _line(text: str, needle: str) -> int | None:
    at = text.find(needle)
    return None if at < 0 else text.count("\n", 0, at) + 1


def _text(document: Any, *keys: str) -> str:
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return document.strip() if isinstance(document, str) else ""


def _table(document: Any, key: str) -> dict[str, Any]:
    value = document.get(key) if isinstance(document, dict) else None
    return value if isinstance(value, dict) else {}


def _one(*keys: str) -> Callable[[dict[str, Any]], Said]:
    """The start command at `keys`."""

    def read(document: dict[str, Any]) -> Said:
        command = _text(document, *keys)
        return Said((Process(command, keys[-1]),) if command else ())

    return read


def _fly(document: dict[str, Any]) -> Said:
    """https://fly.io/docs/reference/configuration/"""
    processes = tuple(
        Process(command, name, name)
        for name, command in _table(document, "processes").items()
        if isinstance(command, str)
    )
    services = document.get("http_service") or document.get("services") or {}
    service = services[0] if isinstance(services, list) and services else services
    port = service.get("internal_port") if isinstance(service, dict) else None
    known = port if isinstance(port, int) and not isinstance(port, bool) and 0 < port < 65536 else None
    env = tuple((name, str(value)) for name, value in _table(document, "env").items())
    return Said(processes, known, env)


def _heroku(document: dict[str, Any]) -> Said:
    """https://devcenter.heroku.com/articles/build-docker-images-heroku-yml"""
    run = _table(document, "run")
    return Said(
        tuple(Process(text.strip(), name, name) for name, text in run.items() if isinstance(text, str) and text)
    )


_READERS: dict[str, Callable[[dict[str, Any]], Said]] = {
    "railpack.json": _one("deploy", "startCommand"),
    "railway.json": _one("deploy", "startCommand"),
    "railway.toml": _one("deploy", "startCommand"),
    "nixpacks.toml": _one("start", "cmd"),
    "nixpacks.json": _one("start", "cmd"),
    "fly.toml": _fly,
    "heroku.yml": _heroku,
}
