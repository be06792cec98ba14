"""The program `iarnet`, each time in a process of its own.

Until it is imported it costs half a second of a core, and the tests call it hundreds of times: so each process is
forked from one that has imported it and nothing else. What it takes from its environment it reads when it is called.
"""

import json
import multiprocessing
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["iarnet.cli.main"])


@dataclass(frozen=True)
class Done:
    """What a command line did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines() if line.startswith("{")]


def iarnet(words: Sequence[str], environment: dict[str, str], directory: Path, timeout_s: float) -> Done:
    """Nobody answers its questions, and it is ended with a `TimeoutError` when it takes too long."""
    with TemporaryDirectory(prefix="iarnet-said-") as folder:
        said = Path(folder, "out"), Path(folder, "err")
        process = _PROCESSES.Process(target=_called, args=(words, environment, directory, said))
        process.start()
        process.join(timeout_s)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise TimeoutError(f"iarnet {' '.join(words)}: more than {timeout_s:g} s\n{said[1].read_text()}")
        return Done(process.exitcode, *(each.read_text() for each in said))


def _called(words: Sequence[str], environment: dict[str, str], directory: Path, said: tuple[Path, Path]) -> None:
    from iarnet.cli.main import main

    for stream, file in enumerate(said, start=1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["iarnet", *words]
    main()
