"""The bounded view of a tree that all detectors read through."""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from operator import methodcaller
from typing import Any

from iarnet.analysis.base import Made, Match
from iarnet.analysis.names import words
from iarnet.analysis.needles import may_match, needles
from iarnet.analysis.places import Places
from iarnet.sources.base import Tree

TEXT_LIMIT = 1_000_000
LINE_LIMIT = 2_000
GREP_FILE_LIMIT = 300_000
GREP_LIMIT = 16_000_000
GREP_FILES = 2_000
READ_BUDGET = 64_000_000
DEPTH_LIMIT = 12

IGNORED = words(
    "node_modules bower_components vendor third_party .git .hg .svn dist build out target .venv venv .tox .nox "
    "__pycache__ .mypy_cache .pytest_cache .ruff_cache site-packages .next .nuxt .svelte-kit .output .turbo .cache "
    ".gradle .mvn .idea .vscode coverage testdata __tests__ __mocks__ .terraform"
)


class TreeFiles:
    """Implements `Files`. `exhausted` tells that the budget of bytes was spent and later reads came back empty."""

    def __init__(self, tree: Tree, *, budget: int = READ_BUDGET) -> None:
        self._tree = tree
        self._budget = budget
        self._texts: dict[str, str | None] = {}
        self._sizes: dict[str, int] = {}
        self._searched: dict[str, str] = {}
        self._listed: dict[tuple[str, int], list[str]] = {}
        self._made: dict[str, Any] = {}
        self._chosen: dict[tuple[str, tuple[str, ...]], list[str]] = {}
        self.exhausted = False

    @cached_property
    def _all(self) -> list[str]:
        return self._tree.paths()

    @cached_property
    def _places(self) -> Places:
        return Places(self._all, _kept)

    def paths(self, root: str = ".", depth: int | None = None) -> list[str]:
        root = _plain(root)
        if depth is None:
            return list(self._places.below(root))
        if (root, depth) not in self._listed:
            self._listed[root, depth] = self._within(root, depth)
        return list(self._listed[root, depth])

    def named(self, names: Iterable[str], root: str = ".", depth: int | None = None) -> list[str]:
        found = self._places.named(names, _plain(root))
        return found if depth is None else [path for path in found if _level(path, root) <= depth]

    def ending(self, suffixes: tuple[str, ...], root: str = ".", depth: int | None = None) -> list[str]:
        found = self._places.ending(suffixes, _plain(root))
        return found if depth is None else [path for path in found if _level(path, root) <= depth]

    def folders(self, depth: int) -> list[str]:
        held = self._places.folders.items()
        return [folder or "." for folder, (files, _) in held if files and folder.count("/") < depth]

    def _within(self, root: str, depth: int) -> list[str]:
        found: list[str] = []
        level = [root]
        for _ in range(depth):
            known = [self._places.folders[folder] for folder in level if folder in self._places.folders]
            found += [path for files, _ in known for path in files]
            level = [folder for _, folders in known for folder in folders]
        return sorted(found)

    def exists(self, path: str) -> bool:
        at = bisect_left(self._all, path)
        return at < len(self._all) and self._all[at] == path

    def text(self, path: str) -> str | None:
        if not self.exists(path):
            return None
        if path not in self._texts:
            self._texts[path] = self._load(path)
        return self._texts[path]

    def read_ahead(self, paths: list[str]) -> None:
        self._read(self._within_budget(paths))

    def once(self, name: str, make: Callable[[], Made]) -> Made:
        if name not in self._made:
            self._made[name] = make()
        made: Made = self._made[name]
        return made

    def grep(self, pattern: str, root: str = ".", suffixes: tuple[str, ...] = ()) -> Iterator[Match]:
        expression = re.compile(pattern)
        for path in self._worth(root, suffixes):
            text = self._searchable(path)
            if may_match(expression, text):
                yield from _matches(expression, path, text)

    def _worth(self, root: str, suffixes: tuple[str, ...]) -> list[str]:
        """The files to search, read: in a huge folder the shallow ones, up to `GREP_LIMIT` bytes."""
        key = root, suffixes
        if key not in self._chosen:
            paths = self.ending(suffixes, root) if suffixes else self.paths(root)
            if len(paths) > GREP_FILES:
                paths = sorted(nearest(paths)[:GREP_FILES])
            self._chosen[key] = self._within_budget(paths)
            self._read(self._chosen[key])
        return self._chosen[key]

    def _within_budget(self, paths: list[str]) -> list[str]:
        new = [path for path in paths if path not in self._sizes]
        self._sizes |= zip(new, self._tree.sizes(new), strict=True)
        budget = GREP_LIMIT
        within: list[str] = []
        for path in paths:
            size = self._sizes[path]
            if size <= min(GREP_FILE_LIMIT, budget):
                budget -= size
                within.append(path)
        return within

    def _read(self, paths: list[str]) -> None:
        new = [path for path in paths if path not in self._texts]
        if self._budget >= GREP_LIMIT:
            for path, raw in zip(new, self._tree.read_all(new), strict=True):
                self._texts[path] = self._taken(raw)

    def _searchable(self, path: str) -> str:
        """The text without its huge lines, on which an expression may take a time that grows with their square."""
        if path not in self._searched:
            text = self.text(path) or ""
            lines = text.split("\n")
            if max(map(len, lines)) > LINE_LIMIT:
                text = "\n".join([line if len(line) <= LINE_LIMIT else "" for line in lines])
            self._searched[path] = text
        return self._searched[path]

    def _load(self, path: str) -> str | None:
        if self._budget <= 0:
            self.exhausted = True
            return None
        raw = self._tree.read(path, TEXT_LIMIT)
        return None if raw is None else self._taken(raw)

    def _taken(self, raw: bytes) -> str | None:
        self._budget -= len(raw)
        return decode(raw)


def decode(raw: bytes) -> str | None:
    """UTF-8, or UTF-16 where a byte order mark says so, errors replaced, lines ended by a newline alone; None for
    what is not text."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = raw.decode("utf-16", errors="replace")
    else:
        text = raw.decode("utf-8-sig", errors="replace")
    return None if "\0" in text else text.replace("\r\n", "\n")


def nearest(paths: list[str]) -> list[str]:
    """Of sorted paths, those with fewer folders first."""
    return sorted(paths, key=methodcaller("count", "/"))


def _plain(root: str) -> str:
    return "" if root == "." else root.rstrip("/")


def _level(path: str, root: str) -> int:
    """1 directly in `root`."""
    return path.count("/") - (0 if root == "." else root.rstrip("/").count("/") + 1) + 1


def _kept(folder: str) -> bool:
    parts = folder.split("/")
    return len(parts) <= DEPTH_LIMIT and IGNORED.isdisjoint(parts)


def _matches(expression: re.Pattern[str], path: str, text: str) -> Iterator[Match]:
    number, counted = 1, 0
    for start in _starts(next(iter(needles(expression)), ("",)), text):
        number, counted = number + text.count("\n", counted, start), start
        end = text.find("\n", start)
        line = text[start : end if end >= 0 else len(text)]
        for found in expression.finditer(line):
            yield Match(path, number, line, tuple(group or "" for group in found.groups()))


def _starts(texts: tuple[str, ...], within: str) -> list[int]:
    """Where the lines that have one of the texts begin."""
    found: set[int] = set()
    for text in texts:
        at = within.find(text)
        while at >= 0:
            found.add(within.rfind("\n", 0, at) + 1)
            following = within.find("\n", at)
            at = within.find(text, following + 1) if following >= 0 else -1
    return sorted(found)
