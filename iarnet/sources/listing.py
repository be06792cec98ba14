"""What `git ls-tree -r -z` prints. A repository may have 200,000 files: what can be is done to all of it at once."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from iarnet.errors import SourceError

_FILE, _LINK, _SUBMODULE = "100", "120000", "160000"
_SHA = len("100644 blob ")
_PATH = _SHA + 40 + 1
_FORGED = ("..", ".", ".git", "")
_SUSPECT = (re.compile(r"\.(?:[gG][iI][tT]|\.)?[/\0]"), re.compile(r"/[/\0]"), re.compile(r"\t[/\0]"))
"""Wherever a part of a path may be forged. Each begins with a literal, which makes it fast."""


class Item(NamedTuple):
    """Anything in a tree. `path` may hold bytes that are no UTF-8, as surrogates; `size` is 0 if none was asked."""

    mode: str
    sha: str
    size: int
    path: str

    @property
    def is_link(self) -> bool:
        return self.mode == _LINK

    @property
    def is_submodule(self) -> bool:
        return self.mode == _SUBMODULE

    @property
    def executable(self) -> bool:
        return self.mode == "100755"


def lines(raw: bytes) -> list[str]:
    """Each as `mode kind sha\\tpath`. Raises `SourceError` for names that can't be committed with git, only forged;
    they would lead a tar stream astray."""
    text = raw.decode("utf-8", "surrogateescape")
    found = text.split("\0")[:-1]
    if any(suspect.search(text) for suspect in _SUSPECT):
        for line in found:
            path = line.partition("\t")[2]
            if not {part.lower() for part in path.split("/")}.isdisjoint(_FORGED):
                raise SourceError(
                    "The repository has a forged file name.", where=repr(path), hint="Repair its history."
                )
    return found


def items(listing: Iterable[str], prefix: str) -> list[Item]:
    """`listing` may have sizes (`-l`)."""
    found: list[Item] = []
    for line in listing:
        meta, _, path = line.partition("\t")
        mode, _, sha, *size = meta.split()
        found.append(Item(mode, sha, int(size[0]) if size and size[0] != "-" else 0, prefix + path))
    return found


def files(listing: Iterable[str], prefix: str) -> dict[str, str]:
    """Path -> line of the regular files whose names are text; `listing` has no sizes."""
    found = {prefix + line[_PATH:]: line for line in listing if line.startswith(_FILE)}
    return found if _is_text("".join(found)) else {path: line for path, line in found.items() if _is_text(path)}


def sha(line: str) -> str:
    """Of a regular file."""
    return line[_SHA : _PATH - 1]


def submodules(listing: Iterable[str]) -> list[str]:
    """Their lines."""
    return [line for line in listing if line.startswith(_SUBMODULE)]


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
