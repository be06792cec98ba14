"""Nodes that start at once, as the library that half of a start goes into is imported already.

Each is forked from a process that has imported the program and done nothing with it. From there on it is what
`iarnet up` is: it reads its settings, opens its store, connects. It ends when the tests do.
"""

import multiprocessing
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from iarnet.cli.main import main
from tests.e2e.harness import NodeProcess, end_with_the_parent

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.e2e.preloaded"])


class Forked:
    """Implements `tests.e2e.harness.Process`."""

    def __init__(self, process: multiprocessing.process.BaseProcess) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        assert self._process.pid
        return self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float) -> int:
        self._process.join(timeout)
        code = self._process.exitcode
        assert code is not None, f"the node {self.pid} has not ended within {timeout:g} s"
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)


def up() -> None:
    sys.argv = ["iarnet", "up"]
    main()


@dataclass
class ForkedNode(NodeProcess):
    """`run`: what its process does."""

    run: Callable[[], None] = up

    def launched(self) -> Forked:
        process = _CONTEXT.Process(target=_become, args=(self.run, self.environment, self.directory, self.log))
        process.start()
        return Forked(process)


def _become(run: Callable[[], None], environment: dict[str, str], directory: Path, log: Path) -> None:
    os.setsid()
    end_with_the_parent()
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream, file in enumerate((os.open(os.devnull, os.O_RDONLY), output, output)):
        os.dup2(file, stream)
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    run()
