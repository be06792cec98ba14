"""Deploy keys against a real ssh server that runs `git upload-pack`."""

import getpass
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from iarnet.errors import AccessDenied, InvalidUrl, RepositoryNotFound
from iarnet.models.source import GitSource
from iarnet.secrets.sealed import MemoryRows, SealedSecrets
from iarnet.sources.git import GitSources
from tests.integration.sshd import Sshd, make_key


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    path = tmp_path / "team" / "my shop"
    path.mkdir(parents=True)
    (path / "word.txt").write_text("over ssh\n")
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), (*who, "commit", "-q", "-m", "first")):
        subprocess.run(["git", *words], cwd=path, check=True)
    return path


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Sshd]:
    with Sshd(tmp_path / "sshd") as made:
        yield made


@pytest.fixture
def key(tmp_path: Path, server: Sshd) -> str:
    server.allow(make_key(tmp_path / "deploy"))
    return (tmp_path / "deploy").read_text()


def url(server: Sshd, path: Path | str) -> str:
    return f"ssh://{getpass.getuser()}@127.0.0.1:{server.port}{path}"


async def sources_with(tmp_path: Path, **credentials: str) -> GitSources:
    secrets = SealedSecrets.open(MemoryRows(), tmp_path / "key")
    for name, value in credentials.items():
        await secrets.put(f"credentials/{name}", value)
    return GitSources(tmp_path / "with space" / "sources", allow_private_hosts=True, secrets=secrets)


async def test_a_deploy_key(tmp_path: Path, repository: Path, server: Sshd, key: str) -> None:
    sources = await sources_with(tmp_path, deploy=key.strip().replace("\n", "\r\n"))
    with pytest.raises(InvalidUrl):
        await sources.resolve(GitSource(url=url(server, repository), credential="deploy"))
    git = GitSource(url=url(server, str(repository).replace(" ", "%20")), credential="deploy")
    commit = await sources.resolve(git)
    source = await sources.fetch("shop", git, commit)
    tree = await sources.tree("shop", source.tree)
    assert tree.read("word.txt") == b"over ssh\n"
    tree.close()
    assert {shlex.split(command)[0] for command in server.commands()} == {"git-upload-pack"}
    left = [p.name for p in (tmp_path / "with space/sources/.keys").iterdir()]
    assert left == ["known_hosts"]


async def test_the_wrong_key_and_none(tmp_path: Path, server: Sshd, key: str) -> None:
    make_key(tmp_path / "wrong")
    sources = await sources_with(tmp_path, wrong=(tmp_path / "wrong").read_text(), token="ghp_token123")
    for credential in ("wrong", "token", None):
        with pytest.raises(AccessDenied) as error:
            await sources.resolve(GitSource(url=url(server, "/x"), credential=credential))
        assert "PRIVATE KEY" not in str(error.value.details())
        assert "ghp_token123" not in str(error.value.details())
    assert [p.name for p in (tmp_path / "with space/sources/.keys").iterdir()] == ["known_hosts"]
    assert server.commands() == []


async def test_no_repository(tmp_path: Path, server: Sshd, key: str) -> None:
    sources = await sources_with(tmp_path, deploy=key)
    with pytest.raises(RepositoryNotFound):
        await sources.resolve(GitSource(url=url(server, "/nothing"), credential="deploy"))


async def test_a_server_with_another_host_key_is_not_trusted(
    tmp_path: Path, repository: Path, server: Sshd, key: str
) -> None:
    sources = await sources_with(tmp_path, deploy=key)
    git = GitSource(url=url(server, str(repository).replace(" ", "%20")), credential="deploy")
    await sources.resolve(git)
    seen = server.commands()
    server.change_host_key()
    with pytest.raises(AccessDenied, match="host key"):
        await sources.resolve(git)
    assert server.commands() == seen
