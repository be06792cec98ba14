"""The node's store of repositories: one bare repository an application."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from iarnet.errors import IarnetError, InvalidInput, Missing, NotFound, RefNotFound, SourceError, SourceTooLarge
from iarnet.models.base import AppName
from iarnet.models.source import GitSource, Source
from iarnet.secrets.base import Secrets
from iarnet.sources.archive import tar_stream
from iarnet.sources.environment import GitProgram, environment
from iarnet.sources.objects import GitTree, Objects
from iarnet.sources.process import run
from iarnet.sources.quarantine import Quarantine
from iarnet.sources.refs import find_commit, preferred
from iarnet.sources.remote import Remote, Remotes, Rules
from iarnet.sources.submodules import absolute_url, submodule_urls
from iarnet.sources.url import check_ref, is_commit
from iarnet.tracing import traced

_APP: TypeAdapter[str] = TypeAdapter(AppName)
_DEPTHS = (1, 50, 1000, None)
_NESTING, _SUBMODULES = 5, 100
Recall = Callable[[str, str], Awaitable[Source | None]]
"""Of an app and a tree: what was imported with it, by whomever."""
_MESSAGE, _AUTHOR = 1000, 200


@dataclass(frozen=True)
class SourceLimits:
    """`bytes` counts what one fetch transfers and, again, what the files of a commit take; `time_s` one fetch."""

    bytes: int = 1 << 30
    files: int = 200_000
    time_s: float = 300.0


@traced("git", "resolve", "fetch")
class GitSources:
    """`iarnet.sources.base.Sources`. `directory` is this object's alone; no other configuration is read.

    `ca_bundle` and `proxy` are for https. With a proxy, the proxy decides which hosts a name may lead to. A tree that
    is not here, but that `recall` knows, was imported by another worker: it is fetched when it is read.
    Raises `Missing` when there is no git.
    """

    def __init__(
        self,
        directory: Path,
        *,
        allow_file: bool = False,
        allow_http: bool = False,
        allow_private_hosts: bool = False,
        limits: SourceLimits | None = None,
        secrets: Secrets | None = None,
        recall: Recall | None = None,
        ca_bundle: Path | None = None,
        proxy: str | None = None,
        git: str = "git",
        ssh: str = "ssh",
    ) -> None:
        self._directory, self._limits = directory.absolute(), limits or SourceLimits()
        home, keys = self._directory / ".home", self._directory / ".keys"
        for folder in (self._directory, home, keys):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._program = GitProgram(_found(git), shutil.which(ssh) or "", home, ca_bundle, proxy)
        self._remotes = Remotes(self._program, Rules(allow_file, allow_http, allow_private_hosts), keys, secrets)
        self._recall = recall
        self._turns: dict[str, asyncio.Lock] = {}
        self._described_before: dict[tuple[str, GitSource, str], Source] = {}

    async def resolve(self, git: GitSource) -> str:
        """Of a branch and a tag with the same name, the branch. A full commit is returned as it is."""
        ref = check_ref(git.ref)
        async with self._in_time(), self._remotes.open(git.url, git.credential) as remote:
            return ref.lower() if is_commit(ref) else await find_commit(remote, ref)

    async def fetch(self, app: str, git: GitSource, commit: str) -> Source:
        if not is_commit(commit):
            raise InvalidInput(f"{commit!r} is no commit.", hint="Give its 40 hexadecimal digits.")
        repository = self._repository(app)
        async with self._turn(app):
            is_here = _mark(repository, commit).exists()
            if is_here and (known := self._described_before.get((app, git, commit))):
                return known
            if not is_here:
                async with self._in_time(), self._remotes.open(git.url, git.credential) as remote:
                    await self._bring(repository, remote, check_ref(git.ref) or "HEAD", commit)
            source = self._described_before[app, git, commit] = await self._described(app, git, commit)
            return source

    async def tree(self, app: str, tree: str) -> GitTree:
        try:
            return await self._open(app, tree)
        except NotFound:
            source = await self._recall(app, tree) if self._recall else None
            if source is None:
                raise
        await self.fetch(app, source.git, source.commit)
        return await self._open(app, tree)

    async def archive(self, app: str, tree: str, path: str = ".") -> AsyncIterator[bytes]:
        whole = await self.tree(app, tree)
        # One thread, so that an archive which is left in the middle of a chunk ends after that chunk, with its git.
        thread, on = ThreadPoolExecutor(1), asyncio.get_running_loop().run_in_executor
        try:
            chunks = await on(thread, lambda: tar_stream(whole.subtree(path)))
            try:
                while chunk := await on(thread, next, chunks, b""):
                    yield chunk
            finally:
                await on(thread, chunks.close)
        finally:
            await on(thread, whole.close)
            thread.shutdown()

    async def forget(self, app: str) -> None:
        repository = self._repository(app)
        async with self._turn(app):
            self._described_before = {key: s for key, s in self._described_before.items() if key[0] != app}
            if repository.exists():
                await asyncio.to_thread(shutil.rmtree, repository)

    # Fetching

    async def _bring(self, repository: Path, remote: Remote, ref: str, commit: str) -> None:
        await self._git("init", "-q", "--bare", "--template=", "--initial-branch=main", "--", str(repository))
        with Quarantine(repository):
            await self._commit(repository, remote, ref, commit)
            brought = [commit, *await self._submodules(repository, remote, commit)]
            await asyncio.to_thread(self._check_size, repository, commit)
            for sha in reversed(brought):
                await self._git("update-ref", f"refs/iarnet/{sha}", sha, repository=repository)

    async def _commit(self, repository: Path, remote: Remote, ref: str, commit: str) -> None:
        """By its name or, where a server refuses that, by its ref, as deep as it takes."""
        watch = self._size_watch(repository)
        if not await remote.fetch(repository, f"+{commit}:{Quarantine.REFS}/{commit}", depth=1, watch=watch):
            await self._deeper(repository, remote, ref, commit, watch)
        if await asyncio.to_thread(self._kind, repository, commit) != "commit":
            raise RefNotFound(f"{commit[:12]} is no commit.", hint="Give a branch, a tag or a commit.")

    async def _deeper(
        self, repository: Path, remote: Remote, ref: str, commit: str, watch: Callable[[], None]
    ) -> None:
        names = list(await remote.refs(*preferred(ref))) if ref else []
        specs = [f"+{name}:{Quarantine.REFS}/{n}" for n, name in enumerate(names) if not name.endswith("^{}")]
        specs = specs or [f"+refs/heads/*:{Quarantine.REFS}/*"]
        for depth in _DEPTHS:
            await remote.fetch(repository, *specs, depth=depth, watch=watch)
            if await asyncio.to_thread(self._kind, repository, commit):
                return
        hint = "A push may have removed it. Give a branch to get its newest commit."
        raise RefNotFound(f"The repository has no commit {commit[:12]}.", hint=hint)

    async def _submodules(self, repository: Path, remote: Remote, commit: str, depth: int = 0) -> list[str]:
        """The commits that were brought for submodules, and for theirs."""
        wanted = await asyncio.to_thread(self._wanted, repository, commit)
        if (wanted and depth == _NESTING) or len(wanted) > _SUBMODULES:
            limits = f"{_SUBMODULES} submodules, {_NESTING} levels deep"
            raise SourceError(f"The repository has more than {limits}.", hint="Take some of them out.")
        brought = []
        for path, (sha, written) in wanted.items():
            try:
                url = absolute_url(remote.url, written)
                async with self._remotes.open(url, self._remotes.credential_for(remote, url)) as inner:
                    await self._commit(repository, inner, "", sha)
                    brought += [sha, *await self._submodules(repository, inner, sha, depth + 1)]
            except IarnetError as error:
                raise type(error)(
                    f"Submodule {path}: {error.message}", where=error.where, hint=error.hint, log=error.log
                ) from error
        return brought

    def _wanted(self, repository: Path, commit: str) -> dict[str, tuple[str, str]]:
        """Path -> commit and address, of the submodules that are not here yet."""
        tree = self._commit_tree(repository, commit)
        try:
            links = {item.path: item.sha for item in tree.items() if item.is_submodule}
            urls = submodule_urls((tree.read(".gitmodules") or b"").decode("utf-8", "replace")) if links else {}
            return {path: (sha, urls[path]) for path, sha in links.items() if path in urls}
        finally:
            tree.close()

    def _check_size(self, repository: Path, commit: str) -> None:
        tree = self._commit_tree(repository, commit)
        try:
            if sum(item.size for item in tree.items()) > self._limits.bytes:
                raise _too_large(self._limits.bytes)
        finally:
            tree.close()

    def _size_watch(self, repository: Path) -> Callable[[], None]:
        before = _size(repository)

        def watch() -> None:
            if _size(repository) - before > self._limits.bytes:
                raise _too_large(self._limits.bytes)

        return watch

    # Reading

    async def _described(self, app: str, git: GitSource, commit: str) -> Source:
        repository = self._repository(app)
        show = ("log", "-1", "--no-show-signature", "--format=%T%x00%an <%ae>%x00%B", commit)
        out = (await self._git(*show, repository=repository)).decode("utf-8", "replace")
        tree, author, message = out.split("\0", 2)
        if git.subdir:
            whole = await self.tree(app, tree)
            try:
                await asyncio.to_thread(whole.subtree, git.subdir)
            finally:
                whole.close()
        return Source(
            app=app,
            git=git,
            commit=commit,
            tree=tree,
            message=message.strip()[:_MESSAGE],
            author=author[:_AUTHOR],
            fetched_at=datetime.fromtimestamp(_mark(repository, commit).stat().st_mtime, UTC),
        )

    async def _open(self, app: str, tree: str) -> GitTree:
        # Not as the thread's result: asyncio keeps that, and with it a process, until a garbage collection.
        found: list[GitTree] = []
        await asyncio.to_thread(lambda: found.append(self._tree(app, tree)))
        return found.pop()

    def _tree(self, app: str, tree: str) -> GitTree:
        objects = self._objects(self._repository(app))
        if is_commit(tree) and objects.kind(tree) == "tree":
            return GitTree(objects, tree, limit=self._limits.files)
        objects.close()
        raise NotFound(f"No tree {tree[:12]} of {app} is here.", where=app, hint="Import the application again.")

    def _commit_tree(self, repository: Path, commit: str) -> GitTree:
        objects = self._objects(repository)
        return GitTree(objects, objects.tree_of(commit) or "", limit=self._limits.files)

    def _kind(self, repository: Path, sha: str) -> str | None:
        objects = self._objects(repository)
        try:
            return objects.kind(sha)
        finally:
            objects.close()

    def _objects(self, repository: Path) -> Objects:
        return Objects(repository, git=self._program.git, env=environment(self._program, repository=repository))

    def _repository(self, app: str) -> Path:
        try:
            return self._directory / f"{_APP.validate_python(app)}.git"
        except ValidationError:
            raise InvalidInput(f"{app!r} is no name of an application.", where="app") from None

    async def _git(self, *words: str, repository: Path | None = None) -> bytes:
        done = await run([self._program.git, *words], env=environment(self._program, repository=repository))
        if done.code:
            raise SourceError(f"git {words[0]} failed.", hint="See the log.", log=tuple(done.err.splitlines()[-10:]))
        return done.out

    def _turn(self, app: str) -> asyncio.Lock:
        return self._turns.setdefault(app, asyncio.Lock())

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._limits.time_s):
                yield
        except TimeoutError as error:
            raise SourceError(
                f"Fetching took longer than {self._limits.time_s:g} s.",
                hint="Check the network, or raise git.timeout_s.",
            ) from error


def _found(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        raise Missing(f"{program} is not installed.", where=program, hint="Install git 2.37 or newer.")
    return path


def _mark(repository: Path, commit: str) -> Path:
    """Written when all of a commit is here; its time says since when."""
    return repository / "refs" / "iarnet" / commit


def _size(repository: Path) -> int:
    """What is stored and what is arriving; files may vanish meanwhile."""
    total = 0
    for path in (repository / "objects" / "pack").glob("*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue
    return total


def _too_large(limit: int) -> SourceTooLarge:
    hint = "Keep large files elsewhere, or raise git.max_bytes."
    return SourceTooLarge(f"The repository takes more than {limit:,} bytes.", hint=hint)
