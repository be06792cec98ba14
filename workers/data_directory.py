"""The node's own folder: one process at a time, for its owner only."""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from iarnet.errors import AlreadyExists


@contextmanager
def held(directory: Path) -> Iterator[None]:
    """Keep other nodes out of it. Raises `AlreadyExists` naming the process that has it."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / "node.lock"
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = path.read_text().strip() or "unknown"
            raise AlreadyExists(
                f"A node runs on {directory} already (process {pid}).",
                where=str(directory),
                hint="Use it, stop it, or give this one another data_dir.",
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def token(path: Path) -> str:
    """The API's token, made at the first start with mode 0600."""
    if not path.exists():
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(32))
    return path.read_text().strip()
