"""Which projects a folder holds, and what is expected of each."""

from collections.abc import Iterator
from pathlib import Path

from bench.corpora import alizer, nixpacks, railpack
from bench.corpora.case import Case
from iarnet.analysis.structures.compose_files import FILES


def found(folder: Path) -> list[Case]:
    """The corpora that are known by their layout, at `folder` or directly below it; any other folder below is a
    project of which nothing is expected but that it does no harm."""
    known = list(_corpus(folder))
    if known:
        return known
    cases: list[Case] = []
    for path in sorted(item for item in folder.iterdir() if item.is_dir() and not item.name.startswith(".")):
        cases += list(_corpus(path)) or _projects(path)
    return cases


def _corpus(folder: Path) -> Iterator[Case]:
    if railpack.knows(folder):
        yield from railpack.cases(folder)
    elif nixpacks.knows(folder):
        yield from nixpacks.cases(folder)
    elif alizer.knows(folder):
        yield from alizer.cases(folder)
    elif alizer.listed(folder):
        yield from alizer.repositories(folder)


def _projects(folder: Path) -> list[Case]:
    """The folder itself, or, where most of what is in it are such, its folders with a compose file."""
    inside = [path for path in sorted(folder.iterdir()) if path.is_dir() and _compose_file(path)]
    if len(inside) > 2 and not _compose_file(folder):
        return [Case(folder.name, path.name, path, composed=_compose_file(path)) for path in inside]
    return [Case("projects", folder.name, folder, composed=_compose_file(folder))]


def _compose_file(folder: Path) -> str | None:
    return next((name for name in FILES if (folder / name).is_file()), None)
