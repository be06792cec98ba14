"""An engine behind SSH: its socket forwarded to a socket here by the machine's own `ssh`."""

import select
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from iarnet.errors import Missing, ProviderUnavailable

_ENGINE_SOCKET = "/var/run/docker.sock"
_OPEN_S = 20.0
_HINTS = (
    (
        "Host key verification failed",
        "give the host's public key as `known_hosts` (`ssh-keyscan HOST` shows it; compare it)",
    ),
    ("Permission denied", "check the user in the URL and that its `authorized_keys` has the key"),
    ("forwarding", "check the path of the engine's socket and that this user may use it"),
)


@dataclass(frozen=True)
class SshLogin:
    """`key`: a private key file (0600); `known_hosts`: the only host keys that are accepted. None: the user's own."""

    key: Path | None = None
    known_hosts: Path | None = None


class SshTunnel:
    """`ssh://[user@]host[:port][/path/of/docker.sock]`; `directory` is the tunnel's own and short."""

    def __init__(self, url: str, login: SshLogin, directory: Path) -> None:
        parts = urlsplit(url)
        self.url = url
        self._host = parts.hostname or ""
        self._user = parts.username
        self._port = parts.port
        self._remote = parts.path if len(parts.path) > 1 else _ENGINE_SOCKET
        self._login = login
        self._socket = directory / "engine.sock"
        self._control = directory / "control.sock"
        self._complaints = directory / "ssh.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def open(self) -> str:
        """The address of the forwarded engine; opened anew when the connection has broken. Blocks."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._process = self._start()
            return f"unix://{self._socket}"

    def close(self) -> None:
        with self._lock:
            if self._process is None:
                return
            self._process.terminate()
            try:
                self._process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def dial_command(self, host: str, port: int) -> list[str]:
        """A command whose standard input and output are a TCP connection made by the engine's host."""
        return [*self._command(), "-W", f"{host}:{port}", "--", self._host]

    def _start(self) -> subprocess.Popen[bytes]:
        for left_over in (self._socket, self._control):
            left_over.unlink(missing_ok=True)
        forward = f"{self._socket}:{self._remote}"
        options = ["-M", "-T", "-L", forward, "-o", "ExitOnForwardFailure=yes"]
        # `cat` over there ends when our end of its input closes, so the tunnel can't outlive this process, and its
        # echo says that we are in and the socket is forwarded.
        command = [*self._command(), *options, "--", self._host, "cat"]
        with self._complaints.open("wb") as complaints:
            process = _spawn(command, self.url, complaints)
        if not _echoes(process):
            process.kill()
            process.wait()
            raise self._failure()
        return process

    def _failure(self) -> ProviderUnavailable:
        words = self._complaints.read_text(errors="replace").strip().replace("\r", "") or "no answer"
        hint = next((h for word, h in _HINTS if word in words), "try the same with `ssh` by hand")
        return ProviderUnavailable(f"The Docker engine can't be reached over SSH: {words}", where=self.url, hint=hint)

    def _command(self) -> list[str]:
        options = {
            "BatchMode": "yes",
            "StrictHostKeyChecking": "yes",
            "ControlPath": str(self._control),
            "ConnectTimeout": "10",
            "ServerAliveInterval": "10",
            "ServerAliveCountMax": "3",
        }
        command = ["ssh"]
        if self._login.key is not None:
            command += ["-i", str(self._login.key), "-o", "IdentitiesOnly=yes"]
        if self._login.known_hosts is not None:
            options["UserKnownHostsFile"] = str(self._login.known_hosts)
        if self._user:
            command += ["-l", self._user]
        if self._port:
            command += ["-p", str(self._port)]
        return command + [part for k, v in options.items() for part in ("-o", f"{k}={v}")]


def _spawn(command: list[str], url: str, complaints: BinaryIO) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints, bufsize=0)
    except FileNotFoundError as e:
        raise Missing("There is no `ssh` on this machine", where=url, hint="install the OpenSSH client") from e


def _echoes(process: subprocess.Popen[bytes]) -> bool:
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(b"up\n")
    except BrokenPipeError:
        return False
    readable, _, _ = select.select([process.stdout], [], [], _OPEN_S)
    return bool(readable) and process.stdout.read(3) == b"up\n"
