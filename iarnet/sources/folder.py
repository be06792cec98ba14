"""A plain folder as a tree: for looking at code that is not in Git (yet)."""

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from iarnet.errors import NotFound, SourceTooLarge
from iarnet.sources.base import Tree

MAX_FILES = 200_000
_CHUNK = 1 << 20


class _Entry(NamedTuple):
    size: int
    executable: bool


class FolderTree:
    """Implements `iarnet.sources.base.Tree`: regular files, no links, no `.git`. `hash` covers contents and modes.

    Raises `NotFound` when there is no such folder, `SourceTooLarge` above `max_files` or `max_bytes`.
    """

    def __init__(self, root: Path, *, max_files: int = MAX_FILES, max_bytes: int | None = None) -> None:
        if not root.is_dir():
            raise NotFound(f"there is no folder {root}", where=str(root), hint="give the path of a folder")
        self._root = root.resolve()
        self._max_files = max_files
        self._max_bytes = max_bytes
        self.hash = self._hash()

    def paths(self) -> list[str]:
        return list(self._entries)

    def sizes(self, paths: Sequence[str]) -> list[int]:
        return [self._entries[path].size for path in paths]

    def read(self, path: str, limit: int = 1_000_000) -> bytes | None:
        if path not in self._entries:
            return None
        return b"".join(self._chunks(path, limit))

    def read_all(self, paths: Sequence[str]) -> list[bytes]:
        return [b"".join(self._chunks(path)) for path in paths]

    def subtree(self, path: str) -> Tree:
        parts = [part for part in path.split("/") if part not in ("", ".")]
        prefix = "/".join(parts) + "/"
        if parts and not any(name.startswith(prefix) for name in self._entries):
            raise NotFound(f"there is no folder {path!r} in this tree", where=path)
        return FolderTree(self._root.joinpath(*parts), max_files=self._max_files, max_bytes=self._max_bytes)

    def _hash(self) -> str:
        digest = hashlib.sha256()
        for path, entry in self._entries.items():
            digest.update(f"{path}\0{entry.executable:d}\0{entry.size}\0".encode("utf-8", "surrogateescape"))
            for chunk in self._chunks(path):
                digest.update(chunk)
        return digest.hexdigest()

    @cached_property
    def _entries(self) -> dict[str, _Entry]:
        found: dict[str, _Entry] = {}
        size = 0
        for path, entry in _walk(self._root, ""):
            found[path] = entry
            size += entry.size
            if len(found) > self._max_files:
                raise self._too_large(f"{self._max_files} files")
            if self._max_bytes is not None and size > self._max_bytes:
                raise self._too_large(f"{self._max_bytes:,} bytes")
        return dict(sorted(found.items()))

    def _too_large(self, most: str) -> SourceTooLarge:
        return SourceTooLarge(f"more than {most}", where=str(self._root), hint="give a smaller folder")

    def _chunks(self, path: str, limit: int | None = None) -> Iterator[bytes]:
        # A file that has become a link since it was listed must not lead out.
        descriptor = os.open(self._root / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            left = self._entries[path].size if limit is None else min(limit, self._entries[path].size)
            while left and (chunk := file.read(min(left, _CHUNK))):
                left -= len(chunk)
                yield chunk


def _walk(folder: Path, prefix: str) -> Iterator[tuple[str, _Entry]]:
    with os.scandir(folder) as items:
        found = sorted(items, key=lambda item: item.name)
    for item in found:
        path = prefix + item.name
        if item.is_dir(follow_symlinks=False):
            if item.name != ".git":
                yield from _walk(folder / item.name, f"{path}/")
        elif item.is_file(follow_symlinks=False) and os.access(item.path, os.R_OK):
            status = item.stat(follow_symlinks=False)
            yield path, _Entry(status.st_size, bool(status.st_mode & stat.S_IXUSR))
