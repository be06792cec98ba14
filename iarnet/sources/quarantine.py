"""A fetch that leaves no trace unless it succeeds."""

import shutil
from pathlib import Path
from typing import ClassVar


class Quarantine:
    """Entered before a fetch into `REFS`; left by an error, the repository is as it was before."""

    REFS: ClassVar[str] = "refs/iarnet-new"

    def __init__(self, repository: Path) -> None:
        self._repository = repository
        self._shallow = repository / "shallow"
        self._packs = repository / "objects" / "pack"

    def __enter__(self) -> None:
        self._drop_unfinished()
        self._before = {path.name for path in self._packs.glob("*")}
        self._boundary = self._shallow.read_bytes() if self._shallow.exists() else b""

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._drop_unfinished()
        if kind is None:
            return
        self._shallow.write_bytes(self._boundary)
        for path in self._packs.glob("*"):
            if path.name not in self._before:
                path.unlink()

    def _drop_unfinished(self) -> None:
        """Also what a crash has left."""
        shutil.rmtree(self._repository / self.REFS, ignore_errors=True)
        (self._repository / "shallow.lock").unlink(missing_ok=True)
        for path in self._packs.glob("tmp_*"):
            path.unlink(missing_ok=True)
