"""Deploy keys against a real ssh server, one of paramiko's, that runs `git upload-pack`."""

import shlex
import socket
import subprocess
import threading
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import paramiko
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from iarnet.errors import AccessDenied, InvalidUrl, RepositoryNotFound
from iarnet.models.source import GitSource
from iarnet.secrets.sealed import MemoryRows, SealedSecrets
from iarnet.sources.git import GitSources


def new_key() -> str:
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()


class _Door(paramiko.ServerInterface):
    def __init__(self, allowed: paramiko.PKey, commands: list[str]) -> None:
        self._allowed, self._commands = allowed, commands
        self.asked = threading.Event()

    def get_allowed_auths(self, username: str) -> str:
        return "publickey,password"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        fine = username == "git" and key.asbytes() == self._allowed.asbytes()
        return paramiko.AUTH_SUCCESSFUL if fine else paramiko.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def check_channel_env_request(self, channel: paramiko.Channel, name: bytes, value: bytes) -> bool:
        return True

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self._commands.append(command.decode())
        threading.Thread(target=_serve, args=(channel, command.decode()), daemon=True).start()
        return True


def _serve(channel: paramiko.Channel, command: str) -> None:
    program, path = shlex.split(command)
    process = subprocess.Popen(
        ["git", program.removeprefix("git-"), path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=-1
    )
    assert process.stdin
    assert process.stdout
    assert process.stderr
    threading.Thread(target=_feed, args=(channel, process), daemon=True).start()
    while chunk := process.stdout.read1(65_536):  # type: ignore[attr-defined]
        channel.sendall(chunk)
    channel.sendall_stderr(process.stderr.read())
    channel.send_exit_status(process.wait())
    channel.close()


def _feed(channel: paramiko.Channel, process: "subprocess.Popen[bytes]") -> None:
    assert process.stdin
    with process.stdin as target:
        while chunk := channel.recv(65_536):
            target.write(chunk)
            target.flush()


class SshServer:
    def __init__(self, client_key: str) -> None:
        self.commands: list[str] = []
        self._allowed = _pkey(client_key)
        self._host_key = _pkey(new_key())
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def change_host_key(self) -> None:
        self._host_key = _pkey(new_key())

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(connection)
            transport.add_server_key(self._host_key)
            try:
                transport.start_server(server=_Door(self._allowed, self.commands))
            except (paramiko.SSHException, EOFError):
                transport.close()


def _pkey(text: str) -> paramiko.PKey:
    return paramiko.Ed25519Key.from_private_key(StringIO(text))


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
def key() -> str:
    return new_key()


@pytest.fixture
def server(key: str) -> Iterator[SshServer]:
    server = SshServer(key)
    yield server
    server.close()


async def sources_with(tmp_path: Path, **credentials: str) -> GitSources:
    secrets = SealedSecrets.open(MemoryRows(), tmp_path / "key")
    for name, value in credentials.items():
        await secrets.put(f"credentials/{name}", value)
    return GitSources(tmp_path / "with space" / "sources", allow_private_hosts=True, secrets=secrets)


async def test_a_deploy_key(tmp_path: Path, repository: Path, server: SshServer, key: str) -> None:
    sources = await sources_with(tmp_path, deploy=key.strip().replace("\n", "\r\n"))
    path = str(repository).replace(" ", "%20")
    with pytest.raises(InvalidUrl):
        await sources.resolve(GitSource(url=f"ssh://git@127.0.0.1:{server.port}{repository}", credential="deploy"))
    git = GitSource(url=f"ssh://git@127.0.0.1:{server.port}{path}", credential="deploy")
    commit = await sources.resolve(git)
    source = await sources.fetch("shop", git, commit)
    tree = await sources.tree("shop", source.tree)
    assert tree.read("word.txt") == b"over ssh\n"
    tree.close()
    assert {shlex.split(c)[0] for c in server.commands} == {"git-upload-pack"}
    left = [p.name for p in (tmp_path / "with space/sources/.keys").iterdir()]
    assert left == ["known_hosts"]


async def test_the_wrong_key_and_none(tmp_path: Path, repository: Path, server: SshServer) -> None:
    sources = await sources_with(tmp_path, wrong=new_key(), token="ghp_token123")
    for credential in ("wrong", "token", None):
        with pytest.raises(AccessDenied) as error:
            await sources.resolve(GitSource(url=f"ssh://git@127.0.0.1:{server.port}/x", credential=credential))
        assert "PRIVATE KEY" not in str(error.value.details())
        assert "ghp_token123" not in str(error.value.details())
    assert [p.name for p in (tmp_path / "with space/sources/.keys").iterdir()] == ["known_hosts"]
    assert server.commands == []


async def test_no_repository(tmp_path: Path, server: SshServer, key: str) -> None:
    sources = await sources_with(tmp_path, deploy=key)
    with pytest.raises(RepositoryNotFound):
        await sources.resolve(GitSource(url=f"ssh://git@127.0.0.1:{server.port}/nothing", credential="deploy"))


async def test_a_server_with_another_host_key_is_not_trusted(
    tmp_path: Path, repository: Path, server: SshServer, key: str
) -> None:
    sources = await sources_with(tmp_path, deploy=key)
    path = str(repository).replace(" ", "%20")
    git = GitSource(url=f"ssh://git@127.0.0.1:{server.port}{path}", credential="deploy")
    await sources.resolve(git)
    server.change_host_key()
    server.commands.clear()
    with pytest.raises(AccessDenied, match="host key"):
        await sources.resolve(git)
    assert server.commands == []
