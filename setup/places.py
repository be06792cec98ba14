"""Where the setup keeps things, and how it runs programs: everything cached lies outside the repository."""

import fcntl
import hashlib
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

TAIL_LINES = 30
TRIES = 3
PAUSE_SECONDS = 3


def cache_directory() -> Path:
    """`IARNET_CACHE`, else `iarnet` in the user's cache directory; created when missing."""
    if chosen := os.environ.get("IARNET_CACHE"):
        path = Path(chosen)
    else:
        path = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "iarnet"
    path.mkdir(parents=True, exist_ok=True)
    return path.resolve()


def runtime_directory() -> Path:
    """Sockets and pid files that belong to one cache.

    Not inside of it: a Unix socket's path may have 107 bytes, and here the boot removes what no longer is true.
    """
    return Path("/run") / f"iarnet-{hashlib.sha256(os.fsencode(cache_directory())).hexdigest()[:8]}"


def log_path(name: str) -> Path:
    """Where the whole output of one part goes."""
    logs = cache_directory() / "logs"
    logs.mkdir(exist_ok=True)
    return logs / f"{name}.log"


def say(line: str) -> None:
    """One progress line on stdout, at once."""
    print(line, flush=True)


def run_logged(
    name: str,
    argv: Sequence[str],
    *,
    timeout: float,
    env: Mapping[str, str] | None = None,
    stdin: IO[bytes] | None = None,
) -> None:
    """Run `argv` with its output in `logs/NAME.log` of the cache; exit with the end of it when it fails for good.

    Nearly all that a set-up runs fetches something: a name that is not found once, or an answer that breaks off, must
    not cost the whole of it.
    """
    log = log_path(name)
    for attempt in range(1, TRIES + 1):
        with log.open("ab") as output:
            start = output.tell()
            output.write(f"\n$ {' '.join(argv)}\n".encode())
            output.flush()
            if stdin:
                stdin.seek(0)
            done = subprocess.run(
                argv,
                stdin=stdin or subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=timeout,
                env={**os.environ, **(env or {})},
                check=False,
            )
        if not done.returncode:
            return
        if attempt < TRIES:
            say(f"again   {name}: `{argv[0]}` ended with {done.returncode}")
            time.sleep(PAUSE_SECONDS)
    tail = "\n".join(log.read_bytes()[start:].decode(errors="replace").splitlines()[-TAIL_LINES:])
    raise SystemExit(f"{tail}\n{name}: `{argv[0]}` ended with {done.returncode}; the whole log is {log}")


@contextmanager
def exclusively(name: str) -> Iterator[None]:
    """Wait until no other process of this user's runs the same; a killed one's lock goes with it."""
    with (cache_directory() / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Stopwatch:
    """Seconds since it was made, for progress lines."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def __str__(self) -> str:
        return f"{time.monotonic() - self._start:.1f} s"
