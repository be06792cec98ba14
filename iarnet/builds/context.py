"""The tar stream that the engine builds from."""

import posixpath
import tarfile
from collections.abc import Mapping
from io import BytesIO
from typing import IO

from iarnet.builds.patterns import Patterns

RECIPE = ".iarnet.Dockerfile"
_IGNORE = ".dockerignore"


def ignored_patterns(text: str) -> list[str]:
    """The lines of a `.dockerignore`, cleaned as Docker's own client does it."""
    lines = (line.strip() for line in text.lstrip("\ufeff").splitlines())
    return [_clean(line) for line in lines if line and not line.startswith("#") and line != "!"]


def write_context(
    source: IO[bytes], target: IO[bytes], *, recipe: str, ignore: list[str], extra: Mapping[str, bytes], mtime: float
) -> None:
    """The tree's archive without what is ignored, with the Dockerfile.

    All files get `mtime`. The engine's cache doesn't look at it, so a layer keeps the time when its content was new:
    web servers make their ETag of it, and many archive formats know no time before 1980.
    """
    patterns = Patterns(ignore)
    with (
        tarfile.open(fileobj=source) as old,
        tarfile.open(fileobj=target, mode="w", format=tarfile.GNU_FORMAT) as new,
    ):
        for member in old:
            # A folder may be ignored and something in it not: it is made then for its files.
            if member.name in (_IGNORE, RECIPE) or patterns.ignore(member.name):
                continue
            member.mtime = mtime
            new.addfile(member, old.extractfile(member) if member.isfile() else None)
        # The engine takes away what this file names after reading it: the image gets neither.
        own = {RECIPE: recipe.encode(), _IGNORE: f"{RECIPE}\n{_IGNORE}\n".encode()}
        for name, content in {**own, **extra}.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(content), mtime
            new.addfile(info, BytesIO(content))


def _clean(line: str) -> str:
    negated = line.startswith("!")
    path = posixpath.normpath(line.lstrip("!").strip()).lstrip("/")
    return f"!{path}" if negated else path
