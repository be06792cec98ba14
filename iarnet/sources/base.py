"""Fetching repositories and reading trees out of the object store."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from iarnet.models.source import GitSource, Source


class Tree(Protocol):
    """A read-only snapshot of regular files. It never touches a work tree and never follows a link out.

    Paths are relative to its root, with `/`. Links and submodules that were not fetched are not in it.
    """

    hash: str

    def paths(self) -> list[str]:
        """Of all files, sorted."""
        ...

    def sizes(self, paths: Sequence[str]) -> list[int]:
        """In bytes, of files that are in it."""
        ...

    def read(self, path: str, limit: int = 1_000_000) -> bytes | None:
        """The first `limit` bytes of a file, or None when there is none."""
        ...

    def read_all(self, paths: Sequence[str]) -> list[bytes]:
        """The whole of many small files that are in it, at once."""
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
