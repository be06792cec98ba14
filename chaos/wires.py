"""An engine elsewhere, and a way there that breaks, or on which nothing arrives any more."""

import contextlib
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random
from threading import Event

from chaos.kills import Blow, node
from chaos.worlds import BACK_S, DockerWorld, reaches
from tests.contract.docker_engine import engine_url, swept
from tests.e2e.cut_engine import Way
from tests.e2e.forked import ForkedNode
from tests.e2e.harness import NodeProcess, until

FAR = "far"
_BROKEN_S = (0.2, 8.0)
_SILENT_S = (0.2, 12.0)


class Wire(Way):
    """While it is silent, who has connected hears nothing, and neither does the engine."""

    def __init__(self, engine: str, path: Path) -> None:
        super().__init__(engine, path)
        self.passes = Event()
        self.passes.set()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self.passes.wait()
                target.sendall(data)
            self.passes.wait()
            target.shutdown(socket.SHUT_WR)


@contextmanager
def on_far_engine(folder: Path) -> Iterator[DockerWorld]:
    """The node has none of its own."""
    url = engine_url()
    made = ForkedNode(folder / "node", "none", extra={"IARNET_GATEWAY__ENABLED": "false"})
    with tempfile.TemporaryDirectory(prefix="wire-") as short, swept(url, made.name) as engine:
        wire = Wire(url.removeprefix("unix://"), Path(short) / "docker.sock")
        wire.restore()
        try:
            made.up()
            there = {"id": FAR, "name": FAR, "type": "docker", "url": wire.url, "config": {"gateway": "false"}}
            added = made.api("POST", "/api/v1/providers", there)
            assert added.is_success, added.text
            yield DockerWorld(made, engine, _blows(made, wire), name="network", pause_s=(1.0, 8.0))
        finally:
            made.end()
            wire.passes.set()
            wire.cut()


def _blows(made: NodeProcess, wire: Wire) -> tuple[Blow, ...]:
    return (
        Blow("connection cut", 2, partial(_cut, made, wire)),
        Blow("connection silent", 2, partial(_silence, made, wire)),
        Blow("node", 1, partial(node, made)),
    )


def _cut(made: NodeProcess, wire: Wire, random: Random) -> float:
    """Seconds from when the way is there again."""
    wire.cut()
    time.sleep(random.uniform(*_BROKEN_S))
    wire.restore()
    return _back(made)


def _silence(made: NodeProcess, wire: Wire, random: Random) -> float:
    wire.passes.clear()
    time.sleep(random.uniform(*_SILENT_S))
    wire.passes.set()
    return _back(made)


def _back(made: NodeProcess) -> float:
    began = time.monotonic()
    until(lambda: reaches(made, FAR), f"the engine is reached again:\n{made.tail()}", BACK_S)
    return time.monotonic() - began
