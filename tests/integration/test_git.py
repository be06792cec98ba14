"""Real repositories, a real smart-http server on loopback, and a real ssh server."""

import asyncio
import base64
import hashlib
import io
import os
import ssl
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import psutil
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from iarnet.errors import (
    AccessDenied,
    InvalidInput,
    InvalidUrl,
    NotFound,
    RefNotFound,
    RepositoryNotFound,
    SourceError,
    SourceTooLarge,
)
from iarnet.models.source import GitSource, Source
from iarnet.secrets.sealed import MemoryRows, SealedSecrets
from iarnet.sources.git import GitSources, SourceLimits

TOKEN = "ghp_verysecret1234567890"


class Repo:
    """A repository with a work tree, driven by git itself."""

    def __init__(self, path: Path, *options: str) -> None:
        self.path = path
        path.mkdir(parents=True)
        self.git("init", "-q", "-b", "main", *options)

    def git(self, *words: str, given: bytes = b"") -> str:
        env = {
            "PATH": os.environ["PATH"],
            "HOME": "/nonexistent",
            "GIT_AUTHOR_NAME": "Ada",
            "GIT_AUTHOR_EMAIL": "ada@example.org",
            "GIT_COMMITTER_NAME": "Ada",
            "GIT_COMMITTER_EMAIL": "ada@example.org",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_ALLOW_PROTOCOL": "file",
        }
        done = subprocess.run(["git", *words], cwd=self.path, env=env, input=given, check=True, capture_output=True)
        return done.stdout.decode().strip()

    def write(self, **files: str | bytes) -> None:
        for name, content in files.items():
            self.put(name, content)

    def put(self, name: str, content: str | bytes, mode: int = 0o644) -> None:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(mode)

    def commit(self, message: str = "change") -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    @property
    def url(self) -> str:
        return f"file://{self.path}"


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    repo = Repo(tmp_path / "repo")
    repo.put("web/app.py", "print('hello')\n")
    repo.put("run.sh", "#!/bin/sh\n", mode=0o755)
    repo.commit("first")
    return repo


@pytest.fixture
def sources(tmp_path: Path) -> GitSources:
    return GitSources(tmp_path / "sources", allow_file=True)


def private(tmp_path: Path, **more: object) -> GitSources:
    return GitSources(tmp_path / "sources", allow_http=True, allow_private_hosts=True, **more)  # type: ignore[arg-type]


async def imported(sources: GitSources, url: str, ref: str = "", app: str = "shop", **more: str) -> tuple[str, str]:
    git = GitSource(url=url, ref=ref, **more)
    commit = await sources.resolve(git)
    return commit, (await sources.fetch(app, git, commit)).tree


# Refusals


@pytest.mark.parametrize(
    "url",
    ["--upload-pack=touch /tmp/x", "-oProxyCommand=x", "ext::sh -c touch% x", "git@-oProxyCommand=x:y", "git://h/p"],
)
async def test_addresses_that_would_run_something_are_refused(sources: GitSources, url: str) -> None:
    with pytest.raises(InvalidUrl):
        await sources.resolve(GitSource(url=url))


@pytest.mark.parametrize("ref", ["--upload-pack=x", "-x", "a..b", "a b", "x:refs/heads/main", "a\nb"])
async def test_refs_that_are_options_or_specs_are_refused(sources: GitSources, repo: Repo, ref: str) -> None:
    with pytest.raises(InvalidInput):
        await sources.resolve(GitSource(url=repo.url, ref=ref))


async def test_files_are_refused_unless_allowed(tmp_path: Path, repo: Repo) -> None:
    closed = GitSources(tmp_path / "other")
    for url in (repo.url, str(repo.path)):
        with pytest.raises(InvalidUrl, match="files"):
            await closed.resolve(GitSource(url=url))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]", "169.254.169.254"])
async def test_private_hosts_are_refused_unless_allowed(tmp_path: Path, host: str) -> None:
    closed = GitSources(tmp_path / "other")
    for url in (f"https://{host}/a.git", f"ssh://git@{host}/a.git"):
        with pytest.raises(InvalidUrl, match="private"):
            await closed.resolve(GitSource(url=url))


async def test_a_host_that_does_not_exist(sources: GitSources) -> None:
    with pytest.raises(SourceError, match="can't be found"):
        await sources.resolve(GitSource(url="https://nowhere.invalid/a.git"))


async def test_no_repository_and_no_ref(sources: GitSources, repo: Repo, tmp_path: Path) -> None:
    with pytest.raises(RepositoryNotFound):
        await sources.resolve(GitSource(url=f"file://{tmp_path}/nothing"))
    repo.git("branch", "feature/login")
    with pytest.raises(RefNotFound) as error:
        await sources.resolve(GitSource(url=repo.url, ref="feature/logn"))
    assert "feature/login" in error.value.hint


async def test_an_empty_repository(sources: GitSources, tmp_path: Path) -> None:
    with pytest.raises(RefNotFound, match="empty"):
        await sources.resolve(GitSource(url=Repo(tmp_path / "empty").url))


async def test_object_names_that_are_not_supported(sources: GitSources, tmp_path: Path) -> None:
    repo = Repo(tmp_path / "other", "--object-format=sha256")
    repo.commit()
    with pytest.raises(InvalidUrl, match="SHA-256"):
        await sources.resolve(GitSource(url=repo.url))


async def test_a_commit_that_is_not_there_leaves_nothing(sources: GitSources, repo: Repo, tmp_path: Path) -> None:
    await imported(sources, repo.url)
    before = snapshot(tmp_path / "sources")
    with pytest.raises(RefNotFound):
        await sources.fetch("shop", GitSource(url=repo.url), "ab" * 20)
    assert snapshot(tmp_path / "sources") == before


async def test_an_object_that_is_no_commit(sources: GitSources, repo: Repo) -> None:
    blob = repo.git("rev-parse", "HEAD:run.sh")
    with pytest.raises(RefNotFound):
        await sources.fetch("shop", GitSource(url=repo.url), blob)


async def test_nothing_is_read_before_it_is_fetched(sources: GitSources, repo: Repo) -> None:
    with pytest.raises(NotFound):
        await sources.tree("shop", "ab" * 20)
    await imported(sources, repo.url)
    with pytest.raises(NotFound):
        await sources.tree("shop", "ab" * 20)
    with pytest.raises(InvalidInput):
        await sources.tree("../shop", "ab" * 20)


# Refs


async def test_what_another_worker_has_imported_is_fetched_when_it_is_read(
    sources: GitSources, repo: Repo, tmp_path: Path
) -> None:
    git = GitSource(url=repo.url)
    imported = await sources.fetch("shop", git, await sources.resolve(git))

    async def recall(app: str, tree: str) -> Source | None:
        return imported if (app, tree) == ("shop", imported.tree) else None

    other = GitSources(tmp_path / "other", allow_file=True, recall=recall)
    archived = [chunk async for chunk in other.archive("shop", imported.tree)]
    assert archived == [chunk async for chunk in sources.archive("shop", imported.tree)]
    with pytest.raises(NotFound):
        await other.tree("shop", "f" * 40)


async def test_branch_tag_annotated_tag_and_commit(sources: GitSources, repo: Repo) -> None:
    first = repo.git("rev-parse", "HEAD")
    repo.git("tag", "light")
    repo.git("tag", "-a", "v1", "-m", "one")
    repo.git("checkout", "-q", "-b", "next")
    repo.put("web/app.py", "print('next')\n")
    second = repo.commit("second")
    repo.git("checkout", "-q", "main")
    for ref, commit in {
        "": first,
        "light": first,
        "v1": first,
        "next": second,
        second: second,
        second[:9]: second,
    }.items():
        assert (await imported(sources, repo.url, ref))[0] == commit
    for ref in ("refs/tags/v1", "refs/heads/main", "HEAD"):
        assert await sources.resolve(GitSource(url=repo.url, ref=ref)) == first


async def test_a_source_says_what_it_is(sources: GitSources, repo: Repo) -> None:
    commit = repo.commit("Sell apples\n\nAnd pears.")
    git = GitSource(url=repo.url)
    source = await sources.fetch("shop", git, commit)
    assert source.commit == commit
    assert source.tree == repo.git("rev-parse", "HEAD^{tree}")
    assert source.message == "Sell apples\n\nAnd pears."
    assert source.author == "Ada <ada@example.org>"
    assert await sources.fetch("shop", git, commit) == source


async def test_a_subdir_must_exist(sources: GitSources, repo: Repo) -> None:
    await imported(sources, repo.url, subdir="web")
    with pytest.raises(NotFound, match="api"):
        await imported(sources, repo.url, subdir="api")


async def test_the_next_commit_comes_without_history(sources: GitSources, repo: Repo, tmp_path: Path) -> None:
    _, tree = await imported(sources, repo.url)
    for n in range(3):
        repo.put("web/app.py", f"print({n})\n")
        last = repo.commit(f"{n}")
    _, newest = await imported(sources, repo.url)
    assert (await sources.tree("shop", newest)).read("web/app.py") == b"print(2)\n"
    assert (await sources.tree("shop", tree)).read("web/app.py") == b"print('hello')\n"
    assert await sources.fetch("shop", GitSource(url=repo.url), last)
    with pytest.raises(NotFound):
        await sources.tree("shop", repo.git("rev-parse", "HEAD~1^{tree}"))


# Reading


async def test_a_tree_is_read_without_links(sources: GitSources, repo: Repo) -> None:
    (repo.path / "passwd").symlink_to("/etc/passwd")
    (repo.path / "app").symlink_to("web/app.py")
    repo.put("ünï côde.txt", "x")
    repo.put("big.txt", "0123456789" * 200)
    repo.commit()
    _, hash = await imported(sources, repo.url)
    tree = await sources.tree("shop", hash)
    paths = ["big.txt", "run.sh", "web/app.py", "ünï côde.txt"]
    assert tree.paths() == paths
    assert tree.sizes(paths) == [2000, 10, 15, 1]
    assert tree.read_all(paths[1:]) == [b"#!/bin/sh\n", b"print('hello')\n", b"x"]
    assert [item.path for item in tree.items() if item.executable] == ["run.sh"]
    for path in ("passwd", "app", "web", "../run.sh", "/etc/passwd", "", "no"):
        assert tree.read(path) is None, path
    assert tree.read("big.txt", limit=12) == b"012345678901"
    assert tree.read("./web/../run.sh") == b"#!/bin/sh\n"
    web = tree.subtree("web")
    assert web.read("app.py") == b"print('hello')\n"
    assert web.hash == repo.git("rev-parse", "HEAD:web")
    assert tree.subtree(".").hash == tree.hash
    for path in ("run.sh", "nothing", "web/app.py", "app"):
        with pytest.raises(NotFound):
            tree.subtree(path)
    tree.close()


async def test_reading_leaves_no_process(sources: GitSources, repo: Repo) -> None:
    _, hash = await imported(sources, repo.url)
    tree = await sources.tree("shop", hash)
    tree.read("run.sh")
    assert _gits()
    tree.close()
    assert not _gits()
    tree = await sources.tree("shop", hash)
    tree.subtree("web").read("app.py")
    del tree
    assert not _gits()


async def test_several_threads_may_read_one_tree(sources: GitSources, repo: Repo) -> None:
    for n in range(50):
        repo.put(f"f{n}", f"{n}\n" * (n + 1))
    repo.commit()
    _, hash = await imported(sources, repo.url)
    tree = await sources.tree("shop", hash)
    read = await asyncio.gather(*(asyncio.to_thread(tree.read, f"f{n % 50}") for n in range(200)))
    assert read == [(f"{n % 50}\n" * (n % 50 + 1)).encode() for n in range(200)]
    paths = [f"f{n}" for n in range(50)]
    assert tree.read_all(paths) == read[:50]
    assert tree.sizes(paths) == [len(content or b"") for content in read[:50]]
    tree.close()


async def test_an_archive_is_reproducible_and_stays_inside(sources: GitSources, repo: Repo, tmp_path: Path) -> None:
    (repo.path / "passwd").symlink_to("/etc/passwd")
    (repo.path / "up").symlink_to("../../etc/passwd")
    (repo.path / "web/run").symlink_to("../run.sh")
    repo.put("large.bin", os.urandom(3_000_000))
    repo.put("a/" + "long/" * 40 + "name", "x")
    repo.commit()
    _, hash = await imported(sources, repo.url)
    first = await gathered(sources, hash)
    other = GitSources(tmp_path / "other", allow_file=True)
    await imported(other, repo.url)
    assert first == await gathered(other, hash)
    with tarfile.open(fileobj=io.BytesIO(first)) as tar:
        members = {m.name: m for m in tar}
        content = tar.extractfile("large.bin")
        assert content is not None
        assert content.read() == (repo.path / "large.bin").read_bytes()
    assert "passwd" not in members
    assert "up" not in members
    assert members["web/run"].linkname == "../run.sh"
    assert members["run.sh"].mode == 0o755
    assert members["web"].isdir()
    assert {(m.mtime, m.uid, m.gid, m.uname) for m in members.values()} == {(0, 0, 0, "")}
    assert not _gits()


async def test_an_archive_of_a_folder(sources: GitSources, repo: Repo) -> None:
    _, hash = await imported(sources, repo.url)
    with tarfile.open(fileobj=io.BytesIO(await gathered(sources, hash, "web"))) as tar:
        assert tar.getnames() == ["app.py"]


async def test_an_archive_left_early_leaves_no_process(sources: GitSources, repo: Repo) -> None:
    repo.put("large.bin", os.urandom(9_000_000))
    repo.commit()
    _, hash = await imported(sources, repo.url)
    chunks = sources.archive("shop", hash)
    assert len(await anext(chunks)) > 500_000
    await chunks.aclose()  # type: ignore[attr-defined]
    assert not _gits()


async def test_forget(sources: GitSources, repo: Repo, tmp_path: Path) -> None:
    _, hash = await imported(sources, repo.url)
    await sources.forget("shop")
    await sources.forget("shop")
    assert not (tmp_path / "sources/shop.git").exists()
    with pytest.raises(NotFound):
        await sources.tree("shop", hash)


# Limits


async def test_too_many_bytes(tmp_path: Path, repo: Repo) -> None:
    sources = GitSources(tmp_path / "small", allow_file=True, limits=SourceLimits(bytes=500_000))
    await imported(sources, repo.url)
    before = snapshot(tmp_path / "small")
    repo.put("noise", os.urandom(2_000_000))
    repo.commit()
    with pytest.raises(SourceTooLarge):
        await imported(sources, repo.url)
    assert snapshot(tmp_path / "small") == before
    (repo.path / "noise").unlink()
    repo.commit()
    await imported(sources, repo.url)


async def test_a_small_pack_that_becomes_large(tmp_path: Path, repo: Repo) -> None:
    sources = GitSources(tmp_path / "small", allow_file=True, limits=SourceLimits(bytes=500_000))
    repo.put("zeros", b"\0" * 5_000_000)
    repo.commit()
    with pytest.raises(SourceTooLarge):
        await imported(sources, repo.url)


async def test_too_many_files(tmp_path: Path, repo: Repo) -> None:
    sources = GitSources(tmp_path / "small", allow_file=True, limits=SourceLimits(files=10))
    for n in range(10):
        repo.put(f"f{n}", "")
    repo.commit()
    with pytest.raises(SourceTooLarge, match="10 files"):
        await imported(sources, repo.url)


# Submodules


@pytest.fixture
def nested(repo: Repo, tmp_path: Path) -> Repo:
    """`repo` with a submodule by a relative address, which has one itself."""
    inner = Repo(tmp_path / "inner")
    inner.put("deep.txt", "deep\n")
    inner.commit()
    library = Repo(tmp_path / "library")
    library.put("lib.py", "lib\n")
    library.git("submodule", "--quiet", "add", "../inner", "inner")
    library.commit()
    repo.git("submodule", "--quiet", "add", "../library", "vendor/library")
    repo.commit()
    return repo


async def test_submodules_are_part_of_the_tree(sources: GitSources, nested: Repo) -> None:
    _, hash = await imported(sources, nested.url)
    tree = await sources.tree("shop", hash)
    assert {"vendor/library/lib.py", "vendor/library/inner/deep.txt"} <= set(tree.paths())
    assert tree.read("vendor/library/inner/deep.txt") == b"deep\n"
    assert tree.subtree("vendor/library").read("lib.py") == b"lib\n"
    assert tree.subtree("vendor/library/inner").read("deep.txt") == b"deep\n"
    tree.close()
    with tarfile.open(fileobj=io.BytesIO(await gathered(sources, hash))) as tar:
        assert "vendor/library/inner/deep.txt" in tar.getnames()


@pytest.mark.parametrize("url", ["ext::sh -c touch% x", "-x", "https://127.0.0.1/a.git", "../../../../../../x"])
async def test_a_submodule_obeys_the_same_rules(sources: GitSources, nested: Repo, tmp_path: Path, url: str) -> None:
    nested.git("config", "-f", ".gitmodules", "submodule.vendor/library.url", url)
    nested.commit()
    with pytest.raises((InvalidUrl, RepositoryNotFound, SourceError)) as error:
        await imported(sources, nested.url)
    assert "vendor/library" in error.value.message or "gitmodules" in str(error.value.log)
    assert not list((tmp_path / "sources/shop.git/objects/pack").iterdir())


async def test_a_submodule_without_an_address_is_left_out(sources: GitSources, nested: Repo) -> None:
    nested.git("rm", "-q", "-f", ".gitmodules")
    nested.git("commit", "-q", "-m", "forgotten")
    _, hash = await imported(sources, nested.url)
    tree = await sources.tree("shop", hash)
    assert not [path for path in tree.paths() if path.startswith("vendor")]
    assert await gathered(sources, hash)
    tree.close()


# Over http


@dataclass
class Served:
    """A smart-http server for the repositories in a folder; knobs change how it answers."""

    root: Path
    password: str = ""
    redirect: str = ""
    stall: threading.Event | None = None
    old_protocol: bool = False
    asked: threading.Event = field(default_factory=threading.Event)
    seen: list[tuple[str, str | None]] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class GitHandler(BaseHTTPRequestHandler):
    served: Served

    def do_GET(self) -> None:
        served = self.served
        served.seen.append((self.path, self.headers.get("Authorization")))
        served.asked.set()
        if served.stall:
            served.stall.wait(60)
            return None
        if served.redirect and self.path.startswith("/old"):
            return self._head(301, Location=served.redirect + self.path.removeprefix("/old"))
        expected = "Basic " + base64.b64encode(f"x-access-token:{served.password}".encode()).decode()
        if served.password and self.headers.get("Authorization") != expected:
            return self._head(401, **{"WWW-Authenticate": "Basic realm=x"})
        return self._git()

    do_POST = do_GET

    def _head(self, code: int, **headers: str) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _git(self) -> None:
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        env = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.served.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": "" if self.served.old_protocol else self.headers.get("Git-Protocol", ""),
        }
        out = subprocess.run(["git", "http-backend"], input=body, env=env, capture_output=True, check=False).stdout
        head, _, rest = out.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path, repo: Repo) -> Iterator[Served]:
    yield from _serving(Served(tmp_path))


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Served]:
    yield from _serving(Served(tmp_path))


def _serving(served: Served) -> Iterator[Served]:
    handler = type("Handler", (GitHandler,), {"served": served})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        served.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield served
        if served.stall:
            served.stall.set()
        server.shutdown()
        thread.join()


async def test_http_is_refused_unless_allowed(sources: GitSources, served: Served) -> None:
    with pytest.raises(InvalidUrl, match="http"):
        await sources.resolve(GitSource(url=f"{served.url}/repo"))
    assert served.seen == []


async def test_over_http(tmp_path: Path, served: Served, repo: Repo) -> None:
    sources = private(tmp_path)
    _, hash = await imported(sources, f"{served.url}/repo/.git")
    assert (await sources.tree("shop", hash)).read("run.sh") == b"#!/bin/sh\n"
    with pytest.raises(RepositoryNotFound):
        await sources.resolve(GitSource(url=f"{served.url}/nothing"))


@pytest.mark.parametrize("ref", ["main", "", "first"])
async def test_a_server_that_gives_no_commit_by_its_name(
    tmp_path: Path, served: Served, repo: Repo, ref: str
) -> None:
    served.old_protocol = True
    wanted = repo.git("rev-parse", "HEAD")
    repo.git("tag", "first", "HEAD")
    for n in range(60):
        repo.commit(f"{n}")
    sources = private(tmp_path)
    source = await sources.fetch("shop", GitSource(url=f"{served.url}/repo/.git", ref=ref), wanted)
    assert source.commit == wanted


async def test_a_token_opens_a_private_repository_and_is_seen_nowhere(
    tmp_path: Path, served: Served, repo: Repo
) -> None:
    served.password = TOKEN
    secrets = SealedSecrets.open(MemoryRows(), tmp_path / "key")
    await secrets.put("credentials/hub", TOKEN)
    await secrets.put("credentials/wrong", "ghp_wrong123")
    await secrets.put("shop/db/password", TOKEN)
    sources = private(tmp_path, secrets=secrets)
    url = f"{served.url}/repo/.git"
    for credential in (None, "wrong"):
        with pytest.raises(AccessDenied) as denied:
            await imported(sources, url, credential=credential)
        assert "ghp_" not in str(denied.value.details())
    with pytest.raises(NotFound):
        await imported(sources, url, credential="shop/db/password")
    commit, _ = await imported(sources, url, credential="hub")
    assert commit == repo.git("rev-parse", "HEAD")
    await imported(sources, url, credential="credentials/hub", app="twin")
    for file in (p for p in (tmp_path / "sources").rglob("*") if p.is_file()):
        assert TOKEN.encode() not in file.read_bytes()
        assert base64.b64encode(f"x-access-token:{TOKEN}".encode()) not in file.read_bytes()


async def test_a_redirect_is_followed_where_that_is_allowed(tmp_path: Path, served: Served, repo: Repo) -> None:
    served.redirect = "/repo"
    commit, _ = await imported(private(tmp_path), f"{served.url}/old/.git")
    assert commit == repo.git("rev-parse", "HEAD")


async def test_a_redirect_takes_no_token_along(tmp_path: Path, served: Served, elsewhere: Served, repo: Repo) -> None:
    served.redirect = f"{elsewhere.url}/repo"
    secrets = SealedSecrets.open(MemoryRows(), tmp_path / "key")
    await secrets.put("credentials/hub", TOKEN)
    await imported(private(tmp_path, secrets=secrets), f"{served.url}/old/.git", credential="hub")
    assert {auth for _, auth in served.seen} != {None}
    assert {auth for _, auth in elsewhere.seen} == {None}


@pytest.mark.parametrize("target", ["file:///etc", "http://169.254.169.254/x", "ftp://h/x", "ext::sh"])
async def test_a_redirect_obeys_the_rules(
    tmp_path: Path, served: Served, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loopback counts as public here, as the server has to be somewhere."""
    served.redirect = target
    monkeypatch.setattr("iarnet.sources.hosts.is_public", lambda address: address.is_loopback)
    sources = GitSources(tmp_path / "strict", allow_http=True, allow_file=True)
    with pytest.raises((InvalidUrl, SourceError)) as error:
        await sources.resolve(GitSource(url=f"{served.url}/old/.git"))
    assert not error.value.retryable or "redirect" in error.value.message


async def test_redirects_without_end(tmp_path: Path, served: Served) -> None:
    served.redirect = "/old"
    with pytest.raises(SourceError):
        await private(tmp_path).resolve(GitSource(url=f"{served.url}/old/.git"))


async def test_a_server_that_says_nothing(tmp_path: Path, served: Served) -> None:
    served.stall = threading.Event()
    sources = private(tmp_path, limits=SourceLimits(time_s=1.0))
    with pytest.raises(SourceError, match="longer than 1 s"):
        await sources.resolve(GitSource(url=f"{served.url}/repo/.git"))
    assert not _gits()


async def test_cancelling_ends_git(tmp_path: Path, served: Served) -> None:
    served.stall = threading.Event()
    task = asyncio.create_task(private(tmp_path).resolve(GitSource(url=f"{served.url}/repo/.git")))
    assert await asyncio.to_thread(served.asked.wait, 20)
    assert _gits()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not _gits()


async def test_https_with_our_own_authority(tmp_path: Path, served: Served, repo: Repo) -> None:
    authority = tmp_path / "ca.pem"
    with _encrypted(served, authority) as url:
        with pytest.raises(SourceError) as error:
            await GitSources(tmp_path / "without", allow_private_hosts=True).resolve(GitSource(url=url))
        assert "ca_bundle" in error.value.hint
        sources = GitSources(tmp_path / "with", allow_private_hosts=True, ca_bundle=authority)
        assert await sources.resolve(GitSource(url=url)) == repo.git("rev-parse", "HEAD")


async def test_the_addresses_that_were_checked_are_those_that_are_used(
    tmp_path: Path, served: Served, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def checked(host: str, port: int, *, allow_private: bool) -> tuple[str, ...]:
        return ("127.0.0.1",)

    monkeypatch.setattr("iarnet.sources.remote.addresses_of", checked)
    git = GitSource(url=f"http://name-without-address.invalid:{served.port}/repo/.git")
    assert await private(tmp_path).resolve(git) == repo.git("rev-parse", "HEAD")


async def test_a_token_goes_to_submodules_of_the_same_origin_only(
    tmp_path: Path, served: Served, elsewhere: Served, repo: Repo
) -> None:
    served.password = TOKEN
    for name, host in (("near", served), ("far", elsewhere)):
        library = Repo(tmp_path / name)
        library.put(f"{name}.txt", name)
        library.commit()
        repo.git("submodule", "--quiet", "add", f"../{name}", name)
        repo.git("config", "-f", ".gitmodules", f"submodule.{name}.url", f"{host.url}/{name}/.git")
    repo.commit()
    secrets = SealedSecrets.open(MemoryRows(), tmp_path / "key")
    await secrets.put("credentials/hub", TOKEN)
    sources = private(tmp_path, secrets=secrets)
    _, hash = await imported(sources, f"{served.url}/repo/.git", credential="hub")
    tree = await sources.tree("shop", hash)
    assert (tree.read("near/near.txt"), tree.read("far/far.txt")) == (b"near", b"far")
    tree.close()
    assert {auth for _, auth in elsewhere.seen} == {None}


async def test_a_fetch_after_a_crash(sources: GitSources, repo: Repo, tmp_path: Path) -> None:
    await imported(sources, repo.url)
    store = tmp_path / "sources/shop.git"
    (store / "objects/pack/tmp_pack_x").write_bytes(b"half")
    (store / "shallow.lock").write_text("")
    (store / "refs/iarnet-new").mkdir()
    (store / "refs/iarnet-new/x").write_text("12" * 20 + "\n")
    with (store / "shallow").open("a") as shallow:
        shallow.write("34" * 20 + "\n")
    repo.commit("next")
    await imported(sources, repo.url)
    assert not list((store / "objects/pack").glob("tmp_*"))


async def test_two_fetches_at_once(sources: GitSources, repo: Repo) -> None:
    commits = [repo.commit(f"{n}") for n in range(3)]
    git = GitSource(url=repo.url)
    found = await asyncio.gather(*(sources.fetch("shop", git, c) for c in commits * 2))
    assert [source.commit for source in found] == commits * 2


async def test_a_tree_that_is_far_larger_than_its_objects(tmp_path: Path, repo: Repo) -> None:
    """Ten entries on ten levels, all the same: ten billion files in a dozen objects."""
    inner = repo.git("hash-object", "-w", "run.sh")
    kind, mode = "blob", "100644"
    for _ in range(10):
        lines = "".join(f"{mode} {kind} {inner}\tf{n}\n" for n in range(10))
        inner, kind, mode = repo.git("mktree", given=lines.encode()), "tree", "040000"
    commit = repo.git("commit-tree", "-m", "bomb", inner)
    repo.git("update-ref", "refs/heads/bomb", commit)
    sources = GitSources(tmp_path / "sources", allow_file=True, limits=SourceLimits(files=1000))
    with pytest.raises(SourceTooLarge):
        await imported(sources, repo.url, "bomb")
    assert not _gits()


async def test_a_malformed_object_is_refused(sources: GitSources, repo: Repo) -> None:
    blob = bytes.fromhex(repo.git("rev-parse", "HEAD:run.sh"))
    forged = ("hash-object", "-t", "tree", "-w", "--stdin", "--literally")
    commit = repo.git("commit-tree", "-m", "forged", repo.git(*forged, given=b"100644 ..\0" + blob))
    repo.git("update-ref", "refs/heads/forged", commit)
    with pytest.raises(SourceError, match="malformed"):
        await imported(sources, repo.url, "forged")


async def test_the_machines_git_configuration_is_not_read(
    tmp_path: Path, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(f'[url "file://{tmp_path}/nothing"]\n  insteadOf = {repo.url}\n')
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.file://{tmp_path}/nothing.insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", repo.url)
    monkeypatch.setenv("GIT_DIR", str(tmp_path))
    sources = GitSources(tmp_path / "sources", allow_file=True)
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(tmp_path))
    _, hash = await imported(sources, f"file://{repo.path}/.git")
    tree = await sources.tree("shop", hash)
    assert tree.read("run.sh") == b"#!/bin/sh\n"
    tree.close()


@contextmanager
def _encrypted(served: Served, authority: Path) -> Iterator[str]:
    """The same server again, over TLS, with a certificate that only `authority` vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    authority.write_bytes(certificate.public_bytes(Encoding.PEM))
    secret = authority.with_suffix(".key")
    secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority, secret)
    handler = type("Handler", (GitHandler,), {"served": served})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{server.server_address[1]}/repo/.git"
        server.shutdown()
        thread.join()


def snapshot(folder: Path) -> dict[str, str]:
    """Every file but empty ones, and its content."""
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.stat().st_size]
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


async def gathered(sources: GitSources, tree: str, path: str = ".") -> bytes:
    return b"".join([chunk async for chunk in sources.archive("shop", tree, path)])


def _gits() -> list[str]:
    """Processes of git that this process has started and that still run."""
    children = psutil.Process().children(recursive=True)
    return [c.name() for c in children if c.status() != psutil.STATUS_ZOMBIE and c.name().startswith("git")]
