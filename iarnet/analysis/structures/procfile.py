"""Procfiles: every process type is a component, `release` a job that the others wait for."""

import posixpath
import re

from iarnet.analysis.base import Clue, Declared, Files, Structure
from iarnet.analysis.names import component_name, unique
from iarnet.errors import InvalidComponent
from iarnet.models.analysis import Warning
from iarnet.models.component import ComponentKind
from iarnet.models.edge import Edge

DEPTH = 3
_LINE = re.compile(r"([A-Za-z0-9_-]+):\s*(.+)")


class Procfile:
    name = "procfile"
    whole = False

    def read(self, files: Files) -> Structure | None:
        structure = Structure()
        for path in files.named(("Procfile",), depth=DEPTH):
            _read(structure, files, path)
        return structure if structure.components or structure.warnings else None


def _read(structure: Structure, files: Files, path: str) -> None:
    text = files.text(path)
    if text is None:
        raise InvalidComponent(f"{path} can't be read as text", where=path, hint="save it as UTF-8")
    folder = posixpath.dirname(path) or "."
    others: list[str] = []
    release = ""
    for number, line in enumerate(text.splitlines(), start=1):
        found = _LINE.fullmatch(line.strip())
        if not found:
            if line.strip() and not line.lstrip().startswith("#"):
                structure.warnings.append(_not_understood(path, number, line))
            continue
        declared = _process(found[1], found[2], folder, path, number, structure)
        structure.components.append(declared)
        if found[1] == "release":
            release = declared.name
        else:
            others.append(declared.name)
    if release:
        structure.edges += [Edge(from_=name, to=release, type="order", condition="completed") for name in others]
        structure.edge_clues += [Clue(f"{name}->{release}", "completed", path) for name in others]


def _process(kind: str, command: str, folder: str, path: str, line: int, structure: Structure) -> Declared:
    taken = [component.name for component in structure.components]
    own = component_name(kind)
    prefixed = own if folder == "." else component_name(f"{posixpath.basename(folder)}-{own}")
    facts = {"kind": _kind(kind), "start_command": command}
    clues = [Clue("kind", _kind(kind), path, line), Clue("start_command", command, path, line)]
    return Declared(unique(prefixed, taken), folder, facts, clues)


def _kind(process: str) -> ComponentKind:
    if process == "web":
        return "web"
    return "job" if process == "release" else "worker"


def _not_understood(path: str, line: int, text: str) -> Warning:
    message = f"{text.strip()[:80]!r} is not `process: command`"
    return Warning(code="not-understood", message=message, file=path, line=line)
