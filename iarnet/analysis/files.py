"""The bounded view of a tree that all detectors read through."""

import re
from bisect import bisect_left
from collections.abc import Iterator
from functools import cached_property

from iarnet.analysis.base import Match
from iarnet.analysis.names import words
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

_HUGE_LINE = re.compile(rf"(?m)^[^\n]{{{LINE_LIMIT + 1},}}")


class TreeFiles:
    """Implements `Files`. `exhausted` tells that the budget of bytes was spent and later reads came back empty."""

    def __init__(self, tree: Tree, *, budget: int = READ_BUDGET) -> None:
        self._tree = tree
        self._budget = budget
        self._texts: dict[str, str | None] = {}
        self._searched: dict[str, str] = {}
        self._listed: dict[tuple[str, int], list[str]] = {}
        self.exhausted = False

    @cached_property
    def _sizes(self) -> dict[str, int]:
        return {entry.path: entry.size for entry in self._tree.entries()}

    @cached_property
    def _kept(self) -> list[str]:
        folders: dict[str, bool] = {}
        kept: list[str] = []
        for path in self._sizes:
            folder = path.rpartition("/")[0]
            if folder not in folders:
                folders[folder] = _kept(folder)
            if folders[folder]:
                kept.append(path)
        return sorted(kept)

    @cached_property
    def _folders(self) -> dict[str, tuple[list[str], list[str]]]:
        """Files and folders directly in each folder: in a large tree most questions are about a few of them."""
        found: dict[str, tuple[list[str], list[str]]] = {"": ([], [])}
        for path in self._kept:
            folder = path.rpartition("/")[0]
            if folder not in found:
                _open(folder, found)
            found[folder][0].append(path)
        return found

    def paths(self, root: str = ".", depth: int | None = None) -> list[str]:
        root = "" if root == "." else root.rstrip("/")
        if depth is None:
            return self._below(root)
        if (root, depth) not in self._listed:
            self._listed[root, depth] = self._within(root, depth)
        return list(self._listed[root, depth])

    def _below(self, root: str) -> list[str]:
        if not root:
            return list(self._kept)
        first = bisect_left(self._kept, f"{root}/")
        return self._kept[first : bisect_left(self._kept, f"{root}0", first)]  # "0" follows "/"

    def _within(self, root: str, depth: int) -> list[str]:
        found: list[str] = []
        level = [root]
        for _ in range(depth):
            known = [self._folders[folder] for folder in level if folder in self._folders]
            found += [path for files, _ in known for path in files]
            level = [folder for _, folders in known for folder in folders]
        return sorted(found)

    def exists(self, path: str) -> bool:
        return path in self._sizes

    def text(self, path: str) -> str | None:
        if path not in self._sizes:
            return None
        if path not in self._texts:
            self._texts[path] = self._load(path)
        return self._texts[path]

    def grep(self, pattern: str, root: str = ".", suffixes: tuple[str, ...] = ()) -> Iterator[Match]:
        expression, anywhere = re.compile(pattern), re.compile(pattern, re.MULTILINE)
        for path in self._worth(self.paths(root), suffixes):
            text = self._searchable(path)
            if anywhere.search(text):
                yield from _matches(expression, path, text)

    def _worth(self, paths: list[str], suffixes: tuple[str, ...]) -> list[str]:
        """The files to search: in a huge folder the shallow ones, up to `GREP_LIMIT` bytes."""
        chosen = [path for path in paths if not suffixes or path.endswith(suffixes)]
        if len(chosen) > GREP_FILES:
            chosen = sorted(sorted(chosen, key=lambda path: (path.count("/"), path))[:GREP_FILES])
        budget = GREP_LIMIT
        within: list[str] = []
        for path in chosen:
            size = self._sizes[path]
            if size <= min(GREP_FILE_LIMIT, budget):
                budget -= size
                within.append(path)
        return within

    def _searchable(self, path: str) -> str:
        """The text without its huge lines, on which an expression may take a time that grows with their square."""
        if path not in self._searched:
            self._searched[path] = _HUGE_LINE.sub("", self.text(path) or "")
        return self._searched[path]

    def _load(self, path: str) -> str | None:
        if self._budget <= 0:
            self.exhausted = True
            return None
        raw = self._tree.read(path, TEXT_LIMIT)
        if raw is None:
            return None
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


def _open(folder: str, found: dict[str, tuple[list[str], list[str]]]) -> None:
    """Note the folder, and those above it that are not known yet."""
    new: list[str] = []
    while folder not in found:
        new.append(folder)
        folder = folder.rpartition("/")[0]
    for name in reversed(new):
        found[name] = ([], [])
        found[name.rpartition("/")[0]][1].append(name)


def _kept(folder: str) -> bool:
    parts = folder.split("/")
    return len(parts) <= DEPTH_LIMIT and IGNORED.isdisjoint(parts)


def _matches(expression: re.Pattern[str], path: str, text: str) -> Iterator[Match]:
    for number, line in enumerate(text.split("\n"), start=1):
        for found in expression.finditer(line):
            yield Match(path, number, line, tuple(group or "" for group in found.groups()))
