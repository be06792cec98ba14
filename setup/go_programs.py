"""Programs that only tests need: built with Go from what a `go.sum` names by hash.

`pebble`: an ACME server, and a DNS server for it. `temporal`: Temporal's server as in its image, which can use
PostgreSQL, and the tool that makes its tables.
"""

import hashlib
import shutil
from pathlib import Path
from types import MappingProxyType

from places import Stopwatch, cache_directory, exclusively, run_logged, say

NAMES = MappingProxyType({"pebble": {}, "temporal": {"server": "temporal-server", "sql": "temporal-sql-tool"}})
"""Each is a folder here; what Go calls otherwise than everybody else is renamed."""

BUILD_SECONDS = 1800


def provide(name: str) -> Path | None:
    """The folder with the programs of that name, built at first; None without Go."""
    source = Path(__file__).parent / name
    digest = hashlib.sha256(b"".join((source / file).read_bytes() for file in ("go.mod", "go.sum")))
    folder = cache_directory() / name / digest.hexdigest()[:16]
    if folder.exists():
        return folder
    if not shutil.which("go"):
        return None
    watch = Stopwatch()
    with exclusively(name):
        if not folder.exists():
            _build(name, source, folder)
    say(f"{name:<7} built ({watch})")
    return folder


def _build(name: str, source: Path, folder: Path) -> None:
    """Under another name until it is whole: a build may be killed."""
    half = folder.with_suffix(".half")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(parents=True)
    # Without C there is nothing of this machine in it; the toolchain is the one that is here.
    settings = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -trimpath", "GOTOOLCHAIN": "local"}
    argv = ("go", "build", "-C", str(source), "-ldflags", "-s -w", "-o", f"{half}/", "tool")
    run_logged(name, argv, timeout=BUILD_SECONDS, env=settings)
    for built, usual in NAMES[name].items():
        (half / built).rename(half / usual)
    half.rename(folder)
