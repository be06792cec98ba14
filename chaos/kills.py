"""What is killed, and how soon it is back."""

import json
import time
from collections.abc import Callable
from typing import Any

import psutil

from tests.e2e.harness import NodeProcess, until

WITHIN_S = 60.0


def node(made: NodeProcess) -> float:
    """Worker and API, which are one process. Seconds until the next one answers."""
    made.kill()
    return made.up()


def temporal(made: NodeProcess) -> float:
    """Seconds until the one that the node starts instead answers."""
    began, before = time.monotonic(), _server(made)
    before.kill()
    until(lambda: _replaced(made, before.pid) and made.answers, "Temporal is back", WITHIN_S)
    return time.monotonic() - began


def both(made: NodeProcess) -> float:
    """As in a power cut. Seconds until the next node answers."""
    made.kill()
    _server(made).kill()
    return made.up()


KILLS: dict[str, Callable[[NodeProcess], float]] = {"node": node, "Temporal": temporal, "node and Temporal": both}
WEIGHTS = (6, 3, 1)


def _server(made: NodeProcess) -> psutil.Process:
    return psutil.Process(_record(made)["pid"])


def _replaced(made: NodeProcess, pid: int) -> bool:
    return bool(_record(made)["pid"] != pid)


def _record(made: NodeProcess) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((made.data / "temporal" / "temporal.json").read_text())
    return found
