"""An OpenSSH server of a test's own."""

import shlex
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from tests.conftest import missing

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
_WITHIN_S = 20.0


class Sshd:
    """On a free port of 127.0.0.1; lets this user in with the keys of `allow`, and keeps what is asked for."""

    def __init__(self, directory: Path) -> None:
        if SSHD is None:
            missing("sshd (openssh-server)")
        directory.mkdir(mode=0o700, exist_ok=True)
        directory.chmod(0o700)
        self._directory = directory
        self._asked = directory / "asked"
        self.port = _free_port()
        self._make_host_key()

    @property
    def known_hosts(self) -> str:
        return f"[127.0.0.1]:{self.port} {(self._directory / 'host.pub').read_text()}"

    def change_host_key(self) -> None:
        self._stop()
        self._make_host_key()
        self._start()

    def allow(self, public_key: str) -> None:
        script = self._directory / "asked.sh"
        script.write_text(
            f'echo "$SSH_ORIGINAL_COMMAND" >> {shlex.quote(str(self._asked))}\neval "$SSH_ORIGINAL_COMMAND"\n'
        )
        with (self._directory / "authorized_keys").open("a") as file:
            file.write(f'command="sh {script}" {public_key}')

    def commands(self) -> list[str]:
        return self._asked.read_text().splitlines() if self._asked.exists() else []

    def __enter__(self) -> "Sshd":
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def _make_host_key(self) -> None:
        for name in ("host", "host.pub"):
            (self._directory / name).unlink(missing_ok=True)
        make_key(self._directory / "host")

    def _start(self) -> None:
        # sshd insists on this directory, and only root can and must make it.
        with suppress(PermissionError):
            Path("/run/sshd").mkdir(exist_ok=True)
        settings = {
            "Port": str(self.port),
            "ListenAddress": "127.0.0.1",
            "HostKey": str(self._directory / "host"),
            "AuthorizedKeysFile": str(self._directory / "authorized_keys"),
            "PasswordAuthentication": "no",
            "PermitRootLogin": "prohibit-password",
            "StrictModes": "no",
            "UsePAM": "no",
            "PidFile": "none",
        }
        options = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
        log = self._directory / "sshd.log"
        with log.open("wb") as out:
            self._process = subprocess.Popen([str(SSHD), "-D", "-e", "-f", "/dev/null", *options], stderr=out)
        end = time.monotonic() + _WITHIN_S
        while not _listens(self.port):
            assert self._process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.02)

    def _stop(self) -> None:
        self._process.terminate()
        self._process.wait()


def make_key(path: Path) -> str:
    """The public key that belongs to the private one at `path`, which is made."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path], check=True)
    return path.with_suffix(".pub").read_text()


def _listens(port: int) -> bool:
    with socket.socket() as wire:
        return wire.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as wire:
        wire.bind(("127.0.0.1", 0))
        return int(wire.getsockname()[1])
