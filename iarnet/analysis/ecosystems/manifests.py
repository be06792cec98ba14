"""Reading the files in which a program declares itself. A broken one becomes a warning and reads as empty."""

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from posixpath import basename, dirname
from typing import Any
from xml.etree import ElementTree

from iarnet.analysis import jsonc
from iarnet.analysis.base import Files
from iarnet.analysis.ecosystems.notes import Notes
from iarnet.analysis.files import nearest
from iarnet.analysis.needles import may_match

MANIFEST_LIMIT = 300_000  # characters; lock files are larger, and are never parsed
DOTS_LIMIT = 100  # of a line outside quotes: tomllib's memory grows with the square of a dotted key
SOURCE_LIMIT = 400
MATCH_LIMIT = 200

_QUOTED = re.compile(r"\"[^\"\n]*\"(?!\s*\.)|'[^'\n]*'(?!\s*\.)")
_TEST_FOLDERS = frozenset(
    ("test", "tests", "spec", "e2e", "fixtures", "examples", "docs", "benchmarks", "migrations")
)
_TEST_FILE = re.compile(r"(^test_|_test\.|\.(test|spec|stories|d)\.|^conftest\.py$)")


def join(root: str, name: str) -> str:
    """`name` below `root`, without `./`."""
    return name if root in ("", ".") else f"{root}/{name}"


def names(files: Files, root: str) -> frozenset[str]:
    """Names of the files directly in `root`."""
    return frozenset(basename(path) for path in files.paths(root, 1))


def read_toml(files: Files, path: str, notes: Notes) -> dict[str, Any]:
    return _read(files, path, notes, _parse_toml)


def read_json(files: Files, path: str, notes: Notes) -> dict[str, Any]:
    """The object in the file, JSON5 where its name says so; anything else at the top level is noted as broken."""
    return _read(files, path, notes, jsonc.loads if path.endswith(("5", "c")) else json.loads)


def read_xml(files: Files, path: str, notes: Notes) -> ElementTree.Element | None:
    """The root element. Document types are refused: entities could expand without end or read other files."""
    text = files.text(path)
    if text is None:
        return None
    try:
        return _parse_xml(text)
    except (ElementTree.ParseError, ValueError, RecursionError) as error:
        _note_broken(notes, path, error)
        return None


def line_of(text: str | None, needle: str) -> int | None:
    """The first line (from 1) that contains `needle`."""
    found = (text or "").find(needle)
    return None if found < 0 else (text or "").count("\n", 0, found) + 1


def sources(files: Files, root: str, suffixes: tuple[str, ...], borders: Iterable[str]) -> list[str]:
    """Source files of the program in `root`, the nearest first: no tests, and nothing below a folder that has a
    manifest of its own (a file named in `borders`)."""
    foreign = {dirname(path) for path in files.named(borders, root)} - {"" if root == "." else root}
    near = nearest(files.ending(suffixes, root))
    found = list(islice((path for path in near if _belongs(path, root, foreign)), SOURCE_LIMIT))
    files.read_ahead(found)
    return found


def matches(expression: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """The first matches; a file with more of them than this is not what it seems."""
    return islice(expression.finditer(text), MATCH_LIMIT) if may_match(expression, text) else iter(())


def shows(expression: re.Pattern[str], text: str) -> bool:
    """Whether there is a match."""
    return may_match(expression, text) and expression.search(text) is not None


def strings(value: Any) -> list[str]:
    """The texts of a list that may hold anything."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def table(value: Any, *keys: str) -> dict[str, Any]:
    """The mapping at `keys` below `value`, empty when something else is there."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def text_at(value: Any, *keys: str) -> str | None:
    """The text at `keys` below `value`."""
    found = table(value, *keys[:-1]).get(keys[-1])
    return found if isinstance(found, str) else None


def _read(files: Files, path: str, notes: Notes, parse: Callable[[str], Any]) -> dict[str, Any]:
    """Parsed once, however many ask: a workspace's manifest is everybody's. Nobody changes what it says."""
    text = files.text(path)
    if text is None:
        return {}
    value = files.once(f"manifest {path}", lambda: _parsed(text, parse))
    if isinstance(value, Exception):
        _note_broken(notes, path, value)
        return {}
    return value


def _parsed(text: str, parse: Callable[[str], Any]) -> dict[str, Any] | Exception:
    try:
        if len(text) > MANIFEST_LIMIT:
            raise ValueError(f"longer than {MANIFEST_LIMIT} characters")
        value = parse(text)
        if not isinstance(value, dict):
            raise ValueError("not a mapping")
    except (ValueError, RecursionError) as error:
        return error
    return value


def _note_broken(notes: Notes, path: str, error: Exception) -> None:
    notes.warn("broken-manifest", f"{basename(path)} can't be read: {str(error)[:200]}", path)


def _parse_toml(text: str) -> dict[str, Any]:
    if any(
        line.count(".") > DOTS_LIMIT and _QUOTED.sub("", line).count(".") > DOTS_LIMIT for line in text.splitlines()
    ):
        raise ValueError(f"a key of more than {DOTS_LIMIT} parts")
    return tomllib.loads(text)


def _parse_xml(text: str) -> ElementTree.Element:
    if len(text) > MANIFEST_LIMIT:
        raise ValueError(f"longer than {MANIFEST_LIMIT} characters")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError("document types are not allowed")
    return ElementTree.fromstring(text)


_PACKAGES = "src/main/"


def _belongs(path: str, root: str, foreign: set[str]) -> bool:
    if _TEST_FILE.search(basename(path)):
        return False
    folder, top = dirname(path), "" if root == "." else root
    if _PACKAGES in f"{folder}/":  # below it, folders are named as the author's domain and project are
        folder = folder[: f"{folder}/".index(_PACKAGES)]
    while folder != top and folder:
        if folder in foreign or basename(folder).lower() in _TEST_FOLDERS:
            return False
        folder = dirname(folder)
    return True
