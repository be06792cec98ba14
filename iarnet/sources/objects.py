"""Reading trees from the object database of a bare repository, never from a work tree."""

import posixpath
import subprocess
import threading
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from iarnet.errors import Missing, NotFound, SourceError, SourceTooLarge
from iarnet.sources.base import Entry

if TYPE_CHECKING:
    from git import Repo

_LINK, _SUBMODULE, _FOLDER = "120000", "160000", "40000"
_NAME_BYTES = 20
_LIST_S = 60.0
_CHUNK = 256 * 1024


@dataclass(frozen=True, slots=True)
class Item:
    """Anything in a tree. `path` may hold bytes that are no UTF-8, as surrogates."""

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


class Objects:
    """One repository's objects through one long-lived `git cat-file`; calls from several threads take turns."""

    def __init__(self, repository: Path, *, git: str, env: dict[str, str]) -> None:
        self._git, self._env = git, env
        self._repo = _open(repository, env)
        self._turn = threading.Lock()
        # GitPython's objects refer to each other in circles: without this, its processes stay until a collection.
        self._end = weakref.finalize(self, self._repo.close)

    def kind(self, sha: str) -> str | None:
        """`commit`, `tree`, `blob`, `tag`, or None when the object is not here."""
        with self._turn:
            try:
                return cast(bytes, self._repo.odb.info(bytes.fromhex(sha)).type).decode()
            except ValueError:
                return None

    def read(self, sha: str) -> bytes:
        with self._turn:
            return cast(bytes, self._repo.odb.stream(bytes.fromhex(sha)).read())

    def start_of(self, sha: str, length: int) -> bytes:
        """Without reading the rest, however long it is."""
        with self._cat("cat-file", "blob", sha) as out:
            return out.read(length)

    def chunks(self, item: Item) -> Iterator[bytes]:
        """A file's content; a long one never as a whole in memory."""
        if item.size <= _CHUNK:
            yield self.read(item.sha)
            return
        with self._cat("cat-file", "blob", item.sha) as out:
            while chunk := out.read(_CHUNK):
                yield chunk

    def tree_of(self, sha: str) -> str | None:
        """The tree that this tree or commit stands for; None when it is not here or something else."""
        kind = self.kind(sha)
        if kind == "commit":
            return self.read(sha).split(b"\n", 1)[0].removeprefix(b"tree ").decode()
        return sha if kind == "tree" else None

    def folder(self, tree: str, path: str) -> str | None:
        """The tree at `path`, through submodules too; None when there is no folder."""
        found: str | None = tree
        for part in _parts(path):
            child = self._children(found).get(part) if found else None
            found = self.tree_of(child) if child else None
        return found

    def list(self, tree: str, *, limit: int, prefix: str = "") -> Iterator[Item]:
        """All files, links and submodules, those of fetched submodules among them. Raises `SourceTooLarge`."""
        for n, line in enumerate(self._lines("ls-tree", "-r", "-l", "-z", "--full-tree", tree)):
            if n >= limit:
                raise SourceTooLarge(
                    f"The repository has more than {limit:,} files.", hint="Leave generated ones out."
                )
            meta, _, name = line.partition(b"\t")
            mode, _, sha, size = meta.decode().split()
            path = posixpath.join(prefix, _safe(name))
            inner = self.tree_of(sha) if mode == _SUBMODULE else None
            if inner:
                yield from self.list(inner, limit=limit - n, prefix=path)
            else:
                yield Item(mode, sha, int(size) if size != "-" else 0, path)

    def close(self) -> None:
        with self._turn:
            self._end()

    def _children(self, tree: str) -> dict[str, str]:
        """Name -> object, of folders and submodules."""
        raw, at, found = self.read(tree), 0, {}
        while at < len(raw):
            end = raw.index(b"\0", at)
            mode, _, name = raw[at:end].decode("utf-8", "surrogateescape").partition(" ")
            at = end + 1 + _NAME_BYTES
            if mode in (_FOLDER, _SUBMODULE):
                found[name] = raw[end + 1 : at].hex()
        return found

    def _lines(self, *args: str) -> Iterator[bytes]:
        """Output split at NUL, within a time: trees of trees can be small and yet take for ever to walk."""
        with self._cat(*args) as out:
            rest = b""
            while chunk := out.read(_CHUNK):
                *lines, rest = (rest + chunk).split(b"\0")
                yield from lines

    def _cat(self, *args: str) -> "_Output":
        return _Output([self._git, *args], self._env)


class _Output:
    """What a git prints, as a context that ends it. Raises `SourceError` when it failed by itself."""

    def __init__(self, argv: list[str], env: dict[str, str]) -> None:
        self._process = subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self._timer = threading.Timer(_LIST_S, self._process.kill)

    def __enter__(self) -> IO[bytes]:
        self._timer.start()
        return cast(IO[bytes], self._process.stdout)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        out = cast(IO[bytes], self._process.stdout)
        at_end = kind is None and not out.read(1)
        self._timer.cancel()
        if not at_end:
            self._process.kill()
        out.close()
        if self._process.wait() != 0 and at_end:
            raise SourceError("The objects of this commit can't be read.", hint="Import the repository again.")


class GitTree:
    """`iarnet.sources.base.Tree` on a Git tree. Close it, or let go of it."""

    def __init__(self, objects: Objects, tree: str, *, limit: int) -> None:
        self.hash = tree
        self.objects, self._limit = objects, limit

    def entries(self) -> list[Entry]:
        return list(self._entries)

    def read(self, path: str, limit: int = 1_000_000) -> bytes | None:
        item = self._files.get("/".join(_parts(path)))
        if item is None:
            return None
        if item.size > limit:
            return self.objects.start_of(item.sha, limit)
        return self.objects.read(item.sha)

    def subtree(self, path: str) -> "GitTree":
        found = self.objects.folder(self.hash, path)
        if found is None:
            raise NotFound(
                f"The repository has no folder {path!r}.", where=path, hint="Check subdir and context paths."
            )
        return self if found == self.hash else GitTree(self.objects, found, limit=self._limit)

    def items(self) -> list[Item]:
        """Links and submodules too, sorted by path."""
        return sorted(self.objects.list(self.hash, limit=self._limit), key=lambda item: item.path)

    def close(self) -> None:
        self.objects.close()

    @cached_property
    def _files(self) -> dict[str, Item]:
        return {i.path: i for i in self.items() if not (i.is_link or i.is_submodule) and _is_text(i.path)}

    @cached_property
    def _entries(self) -> list[Entry]:
        return [Entry(path=i.path, size=i.size, executable=i.executable) for i in self._files.values()]


def _open(repository: Path, env: dict[str, str]) -> "Repo":
    # Imported here because GitPython looks for git when it is imported, and fails without.
    try:
        from git import Repo
    except ImportError as error:
        raise Missing("git is not installed.", where="git", hint="Install git 2.37 or newer.") from error
    if not repository.is_dir():
        raise NotFound("Nothing of this application has been fetched here.", hint="Import it first.")
    repo = Repo(repository)
    repo.git.update_environment(**env)
    return repo


def _parts(path: str) -> list[str]:
    return [part for part in posixpath.normpath(path or ".").split("/") if part not in ("", ".")]


def _safe(name: bytes) -> str:
    """Such names can't be committed with git, only forged; they would lead a tar stream astray."""
    path = name.decode("utf-8", "surrogateescape")
    if any(part in ("", ".", "..") or part.lower() == ".git" for part in path.split("/")):
        raise SourceError("The repository has a forged file name.", where=repr(path), hint="Repair its history.")
    return path


def _is_text(path: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in path)
