"""What is left of an application's components and edges when its compose file is hidden.

A service that is built is known by the folder of its context, one with an image by the kind of service it is (a
PostgreSQL is one whatever it is called), a proxy with a mounted configuration by the folder of that. Other images (an
administration page, a dashboard) can't be inferred by anybody and count as neither found nor missed; nor do the edges
to them. The same holds for a database that no program of the repository is connected with: nothing else tells of it.
"""

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from iarnet.analysis import services
from iarnet.analysis.engine import analyze
from iarnet.analysis.structures.compose_files import FILES
from iarnet.errors import NothingToRun
from iarnet.models.analysis import Analysis
from iarnet.models.component import Component
from iarnet.sources.base import Tree

_IN = "in "
_LOSSES = ("not-supported", "left-out")


@dataclass(frozen=True)
class Count:
    """Of a comparison of two sets."""

    right: int = 0
    missing: int = 0
    wrong: int = 0

    def __add__(self, other: "Count") -> "Count":
        return Count(self.right + other.right, self.missing + other.missing, self.wrong + other.wrong)

    @property
    def f1(self) -> float:
        all_of_both = 2 * self.right + self.missing + self.wrong
        return 2 * self.right / all_of_both if all_of_both else 1.0


class Hidden:
    """A tree without its compose files."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self.hash = tree.hash

    def paths(self) -> list[str]:
        return [path for path in self._tree.paths() if not _is_compose(path)]

    def sizes(self, paths: Sequence[str]) -> list[int]:
        return self._tree.sizes(paths)

    def read(self, path: str, limit: int = 1_000_000) -> bytes | None:
        return None if _is_compose(path) else self._tree.read(path, limit)

    def read_all(self, paths: Sequence[str]) -> list[bytes]:
        return self._tree.read_all(paths)

    def subtree(self, path: str) -> "Hidden":
        return Hidden(self._tree.subtree(path))


def losses(declared: Analysis) -> list[str]:
    """What of the compose file is missing in what will run (`iarnet.analysis.structures.compose_table`)."""
    return [warning.message for warning in declared.warnings if warning.code in _LOSSES]


def withheld(declared: Analysis) -> list[str]:
    """What it asks of the host, which no repository gets by itself."""
    return [warning.message for warning in declared.warnings if "withheld" in warning.code]


def compared(declared: Analysis, tree: Tree) -> tuple[Count, Count]:
    """Components and edges. Raises as `analyze` does, but for a tree without anything to run."""
    try:
        inferred = analyze(Hidden(tree))
    except NothingToRun:
        inferred = Analysis(tree=tree.hash)
    got = _keys(inferred)
    wanted = _inferable(declared, _keys(declared), set(got.values()))
    edges = _edges(declared, wanted), _edges(inferred, got)
    return _count(set(wanted.values()), set(got.values())), _count(*edges)


def _is_compose(path: str) -> bool:
    name = path.rpartition("/")[2]
    return name in FILES or (name.startswith(("docker-compose.", "compose.")) and name.endswith((".yml", ".yaml")))


def _keys(analysis: Analysis) -> dict[str, str]:
    keys = {component.name: _key(component) for component in analysis.components}
    return {name: key for name, key in keys.items() if key}


def _inferable(declared: Analysis, keys: dict[str, str], found: set[str]) -> dict[str, str]:
    """Programs, services that a program is connected with, and what was found all the same."""
    programs = {name for name, key in keys.items() if key.startswith(_IN)}
    used = {edge.to for edge in declared.edges if edge.from_ in programs}
    return {name: key for name, key in keys.items() if name in programs | used or key in found}


def _key(component: Component) -> str | None:
    if component.image:
        service = services.by_image(component.image)
        return service.key if service else None
    started = re.match(r"FROM (\S+)\n", (component.build and component.build.recipe) or "")
    service = services.by_image(started[1]) if started else None
    baked = _baked(component)
    if service or (baked and started and "nginx" not in started[1]):
        return service.key if service else None
    return f"{_IN}{baked or component.root}"


def _baked(component: Component) -> str | None:
    """The folder of the files that are added to an image: where a program of that kind would be found."""
    found = re.match(r'FROM \S+\nCOPY \["([^"]+)"', (component.build and component.build.recipe) or "")
    return posixpath.dirname(found[1]) or "." if found else None


def _edges(analysis: Analysis, keys: dict[str, str]) -> set[tuple[str, str]]:
    return {(keys[e.from_], keys[e.to]) for e in analysis.edges if e.from_ in keys and e.to in keys}


def _count(wanted: set[Any], got: set[Any]) -> Count:
    return Count(len(wanted & got), len(wanted - got), len(got - wanted))
