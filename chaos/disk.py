"""A data directory on a disk that gets full while the node, its store and its Temporal write there."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from random import Random

import psutil

from chaos import memory
from chaos.kills import Blow
from chaos.node import WORLD, up
from chaos.worlds import MemoryWorld
from tests.conftest import missing
from tests.e2e.forked import ForkedNode
from tests.e2e.harness import NodeProcess, until

SIZE = "192m"
_LEAST_FULL_S = 0.5
_MARK = "iarnet-chaos-"
_LOOK_S = 0.05
_BACK_S = 60.0


@contextmanager
def on_small_disk(folder: Path, longest_s: float = 15.0) -> Iterator[MemoryWorld]:
    """`longest_s`: for so long it is full at most.

    Skips where a file system can't be mounted, which CI must not do.
    """
    socket = folder / "world.sock"
    extra = {"IARNET_GATEWAY__ENABLED": "false", WORLD: str(socket)}
    made = ForkedNode(folder / "node", "none", extra=extra, run=up)
    made.data.mkdir(parents=True)
    _unmount_forgotten()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", f"{_MARK}{os.getpid()}", made.data])
    if mounted.returncode:
        missing("the right to mount a file system")
    try:
        with memory.world(socket) as provider:
            try:
                made.up()
                yield MemoryWorld(made, provider, _blows(made, longest_s), name="full disk", pause_s=(1.0, 6.0))
            finally:
                made.end()
    finally:
        subprocess.run(["umount", "--lazy", made.data], check=True)


def _blows(made: NodeProcess, longest_s: float) -> tuple[Blow, ...]:
    return (
        Blow("disk full", 3, partial(_full, made, longest_s)),
        Blow("disk full, and the node", 1, partial(_full_and_killed, made, longest_s)),
    )


def _full(made: NodeProcess, longest_s: float, random: Random) -> float:
    """Seconds from when there is room again."""
    with _no_room(made):
        _stay_full(made, random.uniform(_LEAST_FULL_S, longest_s))
    return _back(made)


def _full_and_killed(made: NodeProcess, longest_s: float, random: Random) -> float:
    """The next one starts when there is room again."""
    with _no_room(made):
        _stay_full(made, random.uniform(_LEAST_FULL_S, longest_s))
        made.kill()
    return made.up()


@contextmanager
def _no_room(made: NodeProcess) -> Iterator[None]:
    ballast = made.data / "ballast"
    try:
        yield
    finally:
        ballast.unlink(missing_ok=True)


def _stay_full(made: NodeProcess, for_s: float) -> None:
    """What somebody gives back is taken, too."""
    until_s = time.monotonic() + for_s
    with (made.data / "ballast").open("ab") as ballast:
        while time.monotonic() < until_s:
            free = shutil.disk_usage(made.data).free
            with suppress(OSError):
                os.posix_fallocate(ballast.fileno(), os.fstat(ballast.fileno()).st_size, max(free, 1))
            time.sleep(_LOOK_S)


def _unmount_forgotten() -> None:
    """By runs that were killed."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        source, place, *_ = line.split()
        if source.startswith(_MARK) and not psutil.pid_exists(int(source.removeprefix(_MARK))):
            subprocess.run(["umount", "--lazy", place], check=False)


def _back(made: NodeProcess) -> float:
    """One that has ended is started again, as whoever supervises it does."""
    began = time.monotonic()
    if made.is_dead:
        made.up()
    until(lambda: made.answers, f"the node answers when there is room again:\n{made.tail()}", _BACK_S)
    return time.monotonic() - began
