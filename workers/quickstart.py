"""`make up` and `make down`: a node in the background, with an application on it.

The node's data is under `.iarnet/` of the checkout, so that what `make up` started can be told from everything else.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil

from iarnet.config import environment

CHECKOUT = Path(__file__).resolve().parent.parent
HOME = CHECKOUT / ".iarnet"
DATA = HOME / "data"
LOG = HOME / "node.log"
SHOP = HOME / "repositories" / "shop"
PROGRAM = Path(sys.executable).parent / "iarnet"
_START_S = 60.0
_STOP_S = 30.0


def main(argv: list[str]) -> int:
    match argv:
        case ["up", *repository]:
            return up(repository[0] if repository else "")
        case ["down"]:
            return down()
    print("usage: python -m workers.quickstart up [GIT_URL] | down", file=sys.stderr)
    return 2


def up(repository: str) -> int:
    """Start the node unless it runs, deploy, and print the addresses. Exit status of the deployment."""
    began = time.monotonic()
    ours = not repository
    if _node() is None:
        _start()
    node = f"node      {_read('address')}   (ready after {time.monotonic() - began:.1f} s)"
    print(node, flush=True)
    deployed = _iarnet("deploy", _shop_repository().as_uri() if ours else repository, *(("--name", "shop") if ours else ()))
    app = "shop" if ours else _last_app()
    if deployed == 0:
        _print_addresses(app, time.monotonic() - began)
    return deployed


def down() -> int:
    """End the node and what it deployed through `make up`; data in volumes stays."""
    process = _node()
    if process is None:
        print("nothing of `make up` is running")
        return 0
    for app in _apps():
        _iarnet("stop", app)
    process.send_signal(signal.SIGTERM)
    psutil.wait_procs([process], _STOP_S)
    print("stopped" if not process.is_running() else f"process {process.pid} still ends; see {LOG}")
    return int(process.is_running())
