"""The Docker engine: the one the machine already runs, else a private one that outlives this process."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from packages import require
from places import Stopwatch, cache_directory, log_path, runtime_directory, say

NO_ENGINE = (
    "No Docker engine answers, neither at DOCKER_HOST nor where the docker command looks. Start Docker, or let this "
    "user use it (on Linux: the group `docker`). Run as root on Debian, this installs and starts a private engine."
)
READY_SECONDS = 60
STOP_SECONDS = 30


def find_host() -> str | None:
    """The first engine that answers: `DOCKER_HOST`, the CLI's context, the default socket, our own."""
    candidates = (os.environ.get("DOCKER_HOST"), _context_host(), "unix:///var/run/docker.sock", _own_host())
    return next((host for host in candidates if host and _answers(host)), None)


def engine_up() -> str:
    """Return the host of a running engine, after starting a private one if there was none."""
    if host := find_host():
        return host
    if os.geteuid() != 0:
        raise SystemExit(NO_ENGINE)
    require({"dockerd": "docker.io", "docker": "docker.io", "iptables": "iptables", "ip": "iproute2", "ps": "procps"})
    if host := find_host():  # installing the package may have started the machine's own
        return host
    watch = Stopwatch()
    _clear_remains()
    process = _launch()
    deadline = time.monotonic() + READY_SECONDS
    while not _answers(_own_host()):
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"dockerd did not come up within {READY_SECONDS} s; see {log_path('dockerd')}")
        time.sleep(0.1)  # nothing but the socket tells that it is ready
    say(f"engine  private dockerd started at {_own_host()} ({watch})")
    return _own_host()


def engine_down() -> None:
    """End our own engine, if it runs; any other is left alone."""
    pid = _own_pid()
    if pid is None:
        say("engine  no private dockerd is running")
        return
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while _own_pid() == pid:
        if time.monotonic() > deadline:
            raise SystemExit(f"dockerd {pid} still runs {STOP_SECONDS} s after SIGTERM; see {log_path('dockerd')}")
        time.sleep(0.1)
    _unmount_data()
    say(f"engine  private dockerd {pid} ended")


def _launch() -> subprocess.Popen[bytes]:
    data, run = cache_directory() / "engine", runtime_directory()
    data.mkdir(exist_ok=True)
    run.mkdir(mode=0o711, exist_ok=True)
    argv = ["dockerd", "--data-root", str(data), "--exec-root", str(run / "exec")]
    argv += ["--host", _own_host(), "--pidfile", str(_pid_path())]
    with log_path("dockerd").open("ab") as log, open(os.devnull, "rb") as nothing:
        # A session of its own, so that ending `make` (a signal to its process group) doesn't end the engine.
        return subprocess.Popen(argv, stdin=nothing, stdout=log, stderr=log, cwd="/", start_new_session=True)


def _clear_remains() -> None:
    """Remove what a killed engine left: dockerd takes any living process under an old pid for itself and refuses."""
    if _own_pid() is None:
        _pid_path().unlink(missing_ok=True)
    containerd = runtime_directory() / "exec" / "containerd" / "containerd.pid"
    if not _runs(containerd, str(runtime_directory())):
        containerd.unlink(missing_ok=True)
    Path(_own_host().removeprefix("unix://")).unlink(missing_ok=True)


def _unmount_data() -> None:
    """An engine that was once killed leaves its data directory mounted onto itself when it ends properly later."""
    data = str(cache_directory() / "engine")
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for mount in sorted((mount for mount in mounts if f"{mount}/".startswith(f"{data}/")), reverse=True):
        subprocess.run(["umount", mount], check=False)


def _own_pid() -> int | None:
    return _runs(_pid_path(), str(_pid_path()))


def _runs(pid_file: Path, mark: str) -> int | None:
    """The pid in the file, if that process lives and names `mark` on its command line; pids get reused."""
    with suppress(OSError, ValueError):
        pid = int(pid_file.read_text())
        if mark.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid
    return None


def _answers(host: str) -> bool:
    if host.startswith("unix://"):
        return _answers_ping(host.removeprefix("unix://"))
    if not shutil.which("docker"):
        return False
    with suppress(subprocess.TimeoutExpired):
        argv = ["docker", "--host", host, "version", "--format", "{{.Server.Version}}"]
        return subprocess.run(argv, capture_output=True, timeout=10, check=False).returncode == 0
    return False


def _answers_ping(path: str) -> bool:
    """Ask without the CLI: it may not be installed yet."""
    with suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(path)
        connection.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
        return b" 200 " in connection.recv(64)
    return False


def _context_host() -> str | None:
    if not shutil.which("docker"):
        return None
    done = subprocess.run(["docker", "context", "inspect"], capture_output=True, timeout=10, check=False)
    with suppress(ValueError, LookupError):
        return str(json.loads(done.stdout)[0]["Endpoints"]["docker"]["Host"])
    return None


def _own_host() -> str:
    return f"unix://{runtime_directory() / 'docker.sock'}"


def _pid_path() -> Path:
    return runtime_directory() / "docker.pid"
