"""Reading trees from the object database of a bare repository, never from a work tree."""

import posixpath
import subprocess
import threading
import weakref
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from iarnet.errors import Missing, NotFound, SourceError, SourceTooLarge
from iarnet.sources import listing
from iarnet.sources.listing import Item

if TYPE_CHECKING:
    from git import Repo

_FOLDER, _SUBMODULE = "40000", "160000"
_NAME_BYTES = 20
_LIST_S = 60.0
_LIST_BYTES = 256 << 20
_CHUNK = 256 * 1024
_MANY = 16


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
        """At most so many bytes, without reading the rest, however long it is."""
        if self._size(sha) <= length:
            return self.read(sha)
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

    def items(self, tree: str, *, limit: int) -> list[Item]:
        """All files, links and submodules, those of fetched submodules among them, sorted by path; git looks up their
        sizes one by one. Raises `SourceTooLarge`."""
        found = self._listings(tree, limit, "-l")
        return sorted((i for prefix, lines in found for i in listing.items(lines, prefix)), key=lambda i: i.path)

    def files(self, tree: str, *, limit: int) -> dict[str, str]:
        """Path -> line of its listing, of the regular files alone, in no order. Raises `SourceTooLarge`."""
        found: dict[str, str] = {}
        for prefix, lines in self._listings(tree, limit):
            found |= listing.files(lines, prefix)
        return found

    def sizes(self, shas: Sequence[str]) -> list[int]:
        """Of objects that are here; of many by one run of git."""
        if len(shas) < _MANY:
            return [self._size(sha) for sha in shas]
        return [_length(line) for line in self._batch("--batch-check=%(objectsize)", shas).splitlines()]

    def contents(self, shas: Sequence[str]) -> list[bytes]:
        """Of objects that are here and fit into memory together; of many by one run of git."""
        if len(shas) < _MANY:
            return [self.read(sha) for sha in shas]
        out, at, found = self._batch("--batch=%(objectsize)", shas), 0, []
        for _ in shas:
            start = out.index(b"\n", at) + 1
            end = start + _length(out[at:start])
            found.append(out[start:end])
            at = end + 1
        return found

    def _size(self, sha: str) -> int:
        with self._turn:
            return cast(int, self._repo.odb.info(bytes.fromhex(sha)).size)

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

    def _listings(self, tree: str, limit: int, *options: str, prefix: str = "") -> list[tuple[str, list[str]]]:
        """The tree's, and those of submodules that were fetched, each with what is in front of its paths."""
        lines = listing.lines(self._output(limit, "ls-tree", "-r", "-z", "--full-tree", *options, tree))
        found = [(prefix, lines)]
        for line in listing.submodules(lines):
            meta, _, path = line.partition("\t")
            inner = self.tree_of(meta.split()[2])
            if inner:
                lines.remove(line)
                left = limit - sum(len(known) for _, known in found)
                found += self._listings(inner, left, *options, prefix=f"{prefix}{path}/")
        return found

    def _output(self, limit: int, *args: str) -> bytes:
        """Lines that end with NUL, within bounds: trees of trees can be small and yet take for ever to walk."""
        chunks: list[bytes] = []
        lines = length = 0
        with self._cat(*args) as out:
            while chunk := out.read(_CHUNK):
                chunks.append(chunk)
                lines += chunk.count(b"\0")
                length += len(chunk)
                if lines > limit or length > _LIST_BYTES:
                    raise SourceTooLarge(
                        f"The repository has more than {limit:,} files.", hint="Leave generated ones out."
                    )
        return b"".join(chunks)

    def _batch(self, how: str, shas: Sequence[str]) -> bytes:
        argv = [self._git, "cat-file", "--buffer", how]
        given = "".join(f"{sha}\n" for sha in shas).encode()
        try:
            done = subprocess.run(argv, input=given, env=self._env, capture_output=True, timeout=_LIST_S, check=True)
        except subprocess.SubprocessError as error:
            raise _unreadable() from error
        return done.stdout

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
            raise _unreadable()


class GitTree:
    """`iarnet.sources.base.Tree` on a Git tree. Close it, or let go of it."""

    def __init__(self, objects: Objects, tree: str, *, limit: int) -> None:
        self.hash = tree
        self.objects, self._limit = objects, limit

    def paths(self) -> list[str]:
        return sorted(self._files)

    def sizes(self, paths: Sequence[str]) -> list[int]:
        return self.objects.sizes(self._shas(paths))

    def read(self, path: str, limit: int = 1_000_000) -> bytes | None:
        line = self._files.get("/".join(_parts(path)))
        return None if line is None else self.objects.start_of(listing.sha(line), limit)

    def read_all(self, paths: Sequence[str]) -> list[bytes]:
        return self.objects.contents(self._shas(paths))

    def subtree(self, path: str) -> "GitTree":
        found = self.objects.folder(self.hash, path)
        if found is None:
            raise NotFound(
                f"The repository has no folder {path!r}.", where=path, hint="Check subdir and context paths."
            )
        return self if found == self.hash else GitTree(self.objects, found, limit=self._limit)

    def items(self) -> list[Item]:
        """Links and submodules too, sorted by path."""
        return self.objects.items(self.hash, limit=self._limit)

    def close(self) -> None:
        self.objects.close()

    def _shas(self, paths: Sequence[str]) -> list[str]:
        return [listing.sha(self._files[path]) for path in paths]

    @cached_property
    def _files(self) -> dict[str, str]:
        return self.objects.files(self.hash, limit=self._limit)


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


def _length(line: bytes) -> int:
    """Git says `missing` here, too."""
    try:
        return int(line)
    except ValueError:
        raise _unreadable() from None


def _unreadable() -> SourceError:
    return SourceError("The objects of this commit can't be read.", hint="Import the repository again.")
