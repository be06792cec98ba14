"""How a tree of files becomes components: the two kinds of detector and what they say.

A *structure* detector reads a file in which somebody declared components (`iarnet.yaml`, compose, Procfile …).
An *ecosystem* looks at one folder and says what kind of program lives there. The engine joins the two:
declared facts win, an ecosystem fills what is missing, and a contradiction becomes a warning.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from iarnet.models.analysis import Warning
from iarnet.models.component import ComponentKind, EnvVar, HealthCheck, Port
from iarnet.models.edge import Edge
from iarnet.models.resources import Resources

Made = TypeVar("Made")


class Files(Protocol):
    """A bounded, cached, read-only view of a tree. Paths are relative, with `/`, without `./`."""

    def paths(self, root: str = ".", depth: int | None = None) -> list[str]:
        """Paths of files below `root` (full paths, sorted), vendored and generated folders left out.

        `depth` 1: only files directly in `root`; 2: also those in its folders; None: all.
        """
        ...

    def named(self, names: Iterable[str], root: str = ".", depth: int | None = None) -> list[str]:
        """Those of `paths` whose files have one of these names."""
        ...

    def ending(self, suffixes: tuple[str, ...], root: str = ".", depth: int | None = None) -> list[str]:
        """Those of `paths` that end with one of these, which are not empty."""
        ...

    def folders(self, depth: int) -> list[str]:
        """Folders with files directly in them, `.` among them; at depth 1 those directly below it, too."""
        ...

    def exists(self, path: str) -> bool:
        """Whether there is such a file, also in a folder that `paths` leaves out."""
        ...

    def text(self, path: str) -> str | None:
        """The file as text (UTF-8, errors replaced), at most 1 MB; None when there is none or it is binary."""
        ...

    def read_ahead(self, paths: list[str]) -> None:
        """Read files that `text` will be asked for; all at once takes less time. Large ones are passed over."""
        ...

    def once(self, name: str, make: Callable[[], Made]) -> Made:
        """What `make` returns, made at the first call with this name: for what several questions need."""
        ...

    def grep(self, pattern: str, root: str = ".", suffixes: tuple[str, ...] = ()) -> Iterable["Match"]:
        """Every match of the regular expression within a line (several a line are several), within a bound on
        bytes read. Lines above 2,000 characters are passed over."""
        ...


@dataclass(frozen=True)
class Match:
    path: str
    line: int
    text: str
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Clue:
    """Why: `field` is a field of Component (or of the profile), `file:line` where it is written."""

    field: str
    value: str
    file: str
    line: int | None = None
    confidence: float = 1.0


@dataclass(frozen=True)
class Profile:
    """What an ecosystem says of the folder `root`.

    `dependencies` are normalised package names of the ecosystem (to see drivers of databases and brokers);
    `env` the settings that the code reads; `recipe` a complete generated Dockerfile whose build context is
    `context`.
    """

    root: str
    language: str
    framework: str | None = None
    kind: ComponentKind = "web"
    start_command: str | None = None
    ports: tuple[Port, ...] = ()
    env: tuple[EnvVar, ...] = ()
    health: HealthCheck | None = None
    resources: Resources | None = None
    dependencies: frozenset[str] = frozenset()
    recipe: str | None = None
    context: str = "."
    optional: frozenset[str] = frozenset()
    """Settings of which the code asks whether they are there: what they point to it can do without."""
    port_env: str | None = None
    """The setting that changes the port, for whoever gives it a value."""
    clues: tuple[Clue, ...] = ()
    warnings: tuple[Warning, ...] = ()
    runnable: bool = True
    workers: tuple["Profile", ...] = ()
    """Further programs in the same folder, a Celery worker beside a web server for example."""
    ecosystem: str = ""
    """Who says so; the engine notes it."""


class Ecosystem(Protocol):
    name: str

    def recognise(self, files: Files, root: str, start: str | None = None) -> Profile | None:
        """None when this folder is of another kind. `start`: a declared start command that wins over our guess."""
        ...


@dataclass
class Declared:
    """A component as a structure detector reads it: only what is declared, by field name of Component. A `hint` does
    not say that there is one, only something of whatever runs in its folder."""

    name: str
    root: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    clues: list[Clue] = field(default_factory=list)
    hint: bool = False


@dataclass
class Structure:
    components: list[Declared] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    edge_clues: list[Clue] = field(default_factory=list)
    warnings: list[Warning] = field(default_factory=list)


class StructureDetector(Protocol):
    """`whole`: its file describes a whole application (compose), not just how one folder runs (Procfile)."""

    name: str
    whole: bool

    def read(self, files: Files) -> Structure | None:
        """None when the tree has no such file. Raises `InvalidComponent` with file and line for a broken one."""
        ...
