"""Fetching repositories and reading trees out of the object store."""

from collections.abc import AsyncIterator
from typing import Protocol

from iarnet.models.base import Value
from iarnet.models.source import GitSource, Source


class Entry(Value):
    """A file in a tree. `path` is relative to the tree's root, with `/`. Links and submodules are not entries."""

    path: str
    size: int
    executable: bool = False


class Tree(Protocol):
    """A read-only snapshot. It never touches a work tree and never follows a link out."""

    hash: str

    def entries(self) -> list[Entry]:
        """All files, sorted by path."""
        ...

    def read(self, path: str, limit: int = 1_000_000) -> bytes | None:
        """The first `limit` bytes of a file, or None when there is none."""
        ...

    def subtree(self, path: str) -> "Tree":
        """The folder at `path` as a tree of its own; raises `NotFound`."""
        ...


class Sources(Protocol):
    async def resolve(self, git: GitSource) -> str:
        """The commit that the ref names now. Raises `InvalidUrl`, `RepositoryNotFound`, `RefNotFound`,
        `AccessDenied`, `SourceError`."""
        ...

    async def fetch(self, app: str, git: GitSource, commit: str) -> Source:
        """Bring the commit into the node's object store. Raises as `resolve`, and `SourceTooLarge`."""
        ...

    async def tree(self, app: str, tree: str) -> Tree:
        """Raises `NotFound` when the objects are not here."""
        ...

    def archive(self, app: str, tree: str, path: str = ".") -> AsyncIterator[bytes]:
        """The folder as a tar stream, reproducible: the same tree gives the same bytes."""
        ...

    async def forget(self, app: str) -> None: ...
