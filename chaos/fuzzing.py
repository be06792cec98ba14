"""`python -m chaos.fuzzing [SECONDS]`: repositories made by mutation, guided by what of the analyser they reach.

Each is an analysis or a refusal that explains itself, within ten seconds and 2 GiB. The first that isn't ends the
run with another status than 0, and is left in a file whose name is told. Mutations begin with the projects of the
examples and the tests.
"""

import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["iarnet.analysis"], enable_loader_override=False):
    from iarnet.analysis.document import document
    from iarnet.analysis.engine import analyze
    from iarnet.analysis.memory import MemoryTree
from iarnet.errors import IarnetError
from tests.unit.analysis.ecosystems.test_languages import PROJECTS
from tests.unit.analysis.ecosystems.test_recipes import PROGRAMS
from tests.unit.analysis.engine.test_hostile import GOOD

_EXAMPLES = Path(__file__).parents[1] / "examples"
_SECONDS = 60
_LIMITS = ("-timeout=10", "-rss_limit_mb=2048", "-max_len=20000", "-verbosity=0", "-print_final_stats=1")
_LARGEST = 8_000
_BETWEEN = b"\0\0"


def main() -> None:
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else _SECONDS
    with tempfile.TemporaryDirectory(prefix="iarnet-fuzzing-") as folder:
        for number, files in enumerate(_known()):
            (Path(folder) / f"{number}").write_bytes(_written(files))
        atheris.Setup([sys.argv[0], folder, f"-max_total_time={seconds}", *_LIMITS], _one)
        atheris.Fuzz()


def _one(data: bytes) -> None:
    try:
        document(analyze(MemoryTree(_read(data))))
    except IarnetError as refused:
        if not refused.message:
            raise AssertionError("a refusal says why") from refused


def _read(data: bytes) -> dict[str, bytes]:
    """Files with names that an analyser looks for, or whatever stands there; of paths, those that a tree can have."""
    files = (part.partition(b"\n") for part in data.split(_BETWEEN))
    named = ((name.decode(errors="replace").strip("/"), content) for name, _, content in files)
    return {name: content for name, content in named if name and ".." not in name and "\0" not in name}


def _written(files: Mapping[str, bytes]) -> bytes:
    return _BETWEEN.join(name.encode() + b"\n" + content for name, content in files.items())


def _known() -> Iterator[dict[str, bytes]]:
    for project in (*PROGRAMS.values(), *(each.files for each in PROJECTS.values()), GOOD):
        yield {name: content.encode() for name, content in project.items()}
    for example in sorted(_EXAMPLES.iterdir()):
        small = (path for path in example.rglob("*") if path.is_file() and path.stat().st_size < _LARGEST)
        yield {path.relative_to(example).as_posix(): path.read_bytes() for path in small}


if __name__ == "__main__":
    main()
