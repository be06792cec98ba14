"""A way to a Docker engine that a test can cut, without touching the engine."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory


class Way:
    """A socket in front of an engine's. While it is cut, nobody listens and nothing that was open goes on."""

    def __init__(self, engine: str, path: Path) -> None:
        self._engine = engine
        self._path = path
        self._open: set[socket.socket] = set()
        self._listener: socket.socket | None = None

    @property
    def url(self) -> str:
        return f"unix://{self._path}"

    def restore(self) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._path))
        self._listener.listen()
        threading.Thread(target=self._accept, args=[self._listener], daemon=True).start()

    def cut(self) -> None:
        if self._listener is None:
            return
        self._path.unlink()
        _end(self._listener)
        self._listener = None
        for each in list(self._open):
            _end(each)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                inside, _ = listener.accept()
                outside = socket.socket(socket.AF_UNIX)
                outside.connect(self._engine)
                self._open |= {inside, outside}
                for ends in ((inside, outside), (outside, inside)):
                    threading.Thread(target=self._carry, args=ends, daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


def _end(ended: socket.socket) -> None:
    with contextlib.suppress(OSError):
        ended.shutdown(socket.SHUT_RDWR)
    ended.close()


@contextlib.contextmanager
def way_to(docker_url: str) -> Iterator[Way]:
    """In a folder of its own: the path of a socket has at most 107 characters."""
    with TemporaryDirectory(prefix="way-") as folder:
        way = Way(docker_url.removeprefix("unix://"), Path(folder) / "docker.sock")
        way.restore()
        try:
            yield way
        finally:
            way.cut()
