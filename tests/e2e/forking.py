"""Calls `iarnet` again and again, each time in a process of its own that is forked from this one.

A call is a JSON document on a line of stdin; its exit status, below 0 for a signal, is a line of stdout.
"""

import json
import os
import sys

import httpx

import iarnet.cli.client  # noqa: F401 - which a command imports when it needs a node
from iarnet.cli.main import main

# It imports the rest of its library.
httpx.Client(verify=False).close()


def serve() -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            call(**json.loads(line))
            return
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def call(words: list[str], environment: dict[str, str], directory: str, out: str, err: str) -> None:
    for stream, file in enumerate((os.devnull, out, err)):
        os.dup2(os.open(file, os.O_RDWR | os.O_CREAT), stream)
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["iarnet", *words]
    main()


if __name__ == "__main__":
    serve()
