"""The program `iarnet`, each time in a process of its own.

Until it is imported it costs half a second of a core, and the tests call it hundreds of times: so each process is
forked from one that has imported it and nothing else. What it takes from its environment it reads when it is called.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from select import select
from tempfile import TemporaryDirectory
from typing import Any

import psutil


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
    """One call at a time, whose questions nobody answers. It is killed when it takes longer than `timeout_s`."""
    forking = _forking()
    assert forking.stdin
    assert forking.stdout
    with TemporaryDirectory(prefix="iarnet-said-") as folder:
        said = {stream: f"{folder}/{stream}" for stream in ("out", "err")}
        asked = {"words": words, "environment": environment, "directory": str(directory), **said}
        print(json.dumps(asked), file=forking.stdin, flush=True)
        if not select([forking.stdout], [], [], timeout_s)[0]:
            for call in psutil.Process(forking.pid).children():
                call.kill()
        code = int(forking.stdout.readline())
        return Done(code, *(Path(file).read_text() for file in said.values()))


@cache
def _forking() -> "subprocess.Popen[str]":
    """It ends with its stdin, which is to say with us."""
    program = Path(__file__).with_name("forking.py")
    return subprocess.Popen([sys.executable, "-P", program], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
