"""An image with this environment's gRPC, HTTP/2 and WebSocket, made without a network."""

import io
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import distribution
from pathlib import Path

import docker
from packaging.requirements import Requirement

HERE = Path(__file__).parent
_NEEDED = ("grpcio", "h2", "httpx", "hypercorn")


@contextmanager
def image(client: docker.APIClient, tag: str) -> Iterator[str]:
    """In the engine, under this tag, for as long as the block lasts."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    options = {"tag": tag, "buildargs": {"PYTHON": version}, "rm": True, "decode": True}
    said = list(client.build(fileobj=_context(), custom_context=True, **options))
    assert any("Successfully built" in step.get("stream", "") for step in said), said[-3:]
    try:
        yield tag
    finally:
        client.remove_image(tag, force=True)


def _context() -> io.BytesIO:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as context:
        for name in ("Dockerfile", "server.py", "client.py"):
            context.add(HERE / name, name)
        for package in sorted(_packages(_NEEDED)):
            for path in distribution(package).files or ():
                if path.suffix != ".pyc" and ".." not in path.parts:
                    context.add(path.locate(), f"packages/{path}")
    file.seek(0)
    return file


def _packages(names: tuple[str, ...]) -> set[str]:
    """These and all that they need."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            wanted = map(Requirement, distribution(name).requires or ())
            waiting += [each.name for each in wanted if each.marker is None or each.marker.evaluate({"extra": ""})]
    return found
