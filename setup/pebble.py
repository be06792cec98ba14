"""Pebble, an ACME server for tests, and a DNS server for it: built with Go from what `go.sum` names by hash."""

import hashlib
import shutil
from pathlib import Path

from places import Stopwatch, cache_directory, exclusively, run_logged, say

SOURCE = Path(__file__).parent / "pebble"
BUILD_SECONDS = 600


def provide() -> Path | None:
    """The folder with `pebble` and `pebble-challtestsrv`, built at first; None without Go."""
    digest = hashlib.sha256(b"".join((SOURCE / name).read_bytes() for name in ("go.mod", "go.sum")))
    folder = cache_directory() / "pebble" / digest.hexdigest()[:16]
    if folder.exists():
        return folder
    if not shutil.which("go"):
        return None
    watch = Stopwatch()
    with exclusively("pebble"):
        if not folder.exists():
            _build(folder)
    say(f"pebble  built ({watch})")
    return folder


def _build(folder: Path) -> None:
    """Under another name until it is whole: a build may be killed."""
    half = folder.with_suffix(".half")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(parents=True)
    # Without C there is nothing of this machine in it; the toolchain is the one that is here.
    settings = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -trimpath", "GOTOOLCHAIN": "local"}
    argv = ("go", "build", "-C", str(SOURCE), "-o", f"{half}/", "tool")
    run_logged("pebble", argv, timeout=BUILD_SECONDS, env=settings)
    half.rename(folder)
