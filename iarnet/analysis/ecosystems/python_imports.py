"""Which files of a Python program are reached from the one that is started."""

import re
from collections.abc import Iterable, Iterator
from posixpath import dirname

from iarnet.analysis.base import Files
from iarnet.analysis.ecosystems.manifests import join

_FROM = re.compile(
    r"^[ \t]*from[ \t]+([\w.]{1,300})[ \t]+import[ \t]+(\([^)]{0,2000}\)|[^\n#;]{1,2000})", re.MULTILINE
)
_IMPORT = re.compile(r"^[ \t]*import[ \t]+([\w., \t]{1,2000})", re.MULTILINE)
# Modules named by a string, or by what a folder holds: everything may be reached.
_DYNAMIC = re.compile(r"import_module\(|__import__\(|pkgutil\.|autodiscover|find_modules\(|runpy\.|spec_from_file")


def reached(files: Files, root: str, known: Iterable[str], first: str) -> frozenset[str]:
    """Paths among `known` that `first` imports, directly or not, and itself; all of them when it can't be told."""
    within, found, waiting = frozenset(known), {first}, [first]
    while waiting:
        path = waiting.pop()
        text = files.text(path) or ""
        if _DYNAMIC.search(text):
            return within | {first}
        for target in _targets(text):
            fresh = {p for p in _files_of(root, path, target) if p in within} - found
            found |= fresh
            waiting += sorted(fresh)
    return frozenset(found)


def _targets(text: str) -> Iterator[str]:
    """Dotted names that may be modules: `.db`, `app.db`, `app.db.session`."""
    for source, names in _FROM.findall(text):
        yield source
        separator = "" if source.endswith(".") else "."
        yield from (f"{source}{separator}{name}" for name in re.findall(r"(?:^|,|\()\s*(\w+)", names))
    for names in _IMPORT.findall(text):
        yield from re.findall(r"(?:^|,)\s*([\w.]+)", names)


def _files_of(root: str, importer: str, target: str) -> set[str]:
    """Where the module and the packages above it would be, seen from the importing file."""
    level = len(target) - len(target.lstrip("."))
    parts = [part for part in target.lstrip(".").split(".") if part]
    bases = [_up(dirname(importer), level - 1)] if level else _bases(root, dirname(importer))
    found: set[str] = set()
    for base in bases:
        for depth in range(0 if level else 1, len(parts) + 1):
            path = "/".join([*([base] if base else []), *parts[:depth]])
            found |= {f"{path}.py", f"{path}/__init__.py"} if path else {"__init__.py"}
    return found


def _bases(root: str, folder: str) -> list[str]:
    """Folders that imports may start from: the importing file's own, those above it up to the root, and `src`."""
    top = "" if root == "." else root
    found = [folder]
    while folder not in ("", top):
        folder = dirname(folder)
        found.append(folder)
    return [*found, join(root, "src")]


def _up(folder: str, levels: int) -> str:
    for _ in range(levels):
        folder = dirname(folder)
    return folder
