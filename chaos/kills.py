"""What is killed, and how soon it is back."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

import psutil

from tests.e2e.harness import NodeProcess, until

WITHIN_S = 60.0


@dataclass(frozen=True)
class Blow:
    """`strike` does it, waits until everything answers again, and returns the seconds that this took. One that does
    not come back is an `AssertionError`. It comes as often as its `weight` says, beside those of the others."""

    name: str
    weight: int
    strike: Callable[[Random], float]


def of_node(made: NodeProcess) -> tuple[Blow, ...]:
    """What can happen to a node and to the Temporal that it has started."""
    return (
        Blow("node", 6, partial(node, made)),
        Blow("Temporal", 3, partial(temporal, made)),
        Blow("node and Temporal", 1, partial(both, made)),
    )


def node(made: NodeProcess, random: Random) -> float:
    """Worker and API, which are one process. Seconds until the next one answers."""
    made.kill()
    return made.up()


def temporal(made: NodeProcess, random: Random) -> float:
    """Seconds until the one that the node starts instead answers."""
    began, before = time.monotonic(), _server(made)
    before.kill()
    until(lambda: _replaced(made, before.pid) and made.answers, "Temporal is back", WITHIN_S)
    return time.monotonic() - began


def both(made: NodeProcess, random: Random) -> float:
    """As in a power cut. Seconds until the next node answers."""
    made.kill()
    _server(made).kill()
    return made.up()


def _server(made: NodeProcess) -> psutil.Process:
    return psutil.Process(_record(made)["pid"])


def _replaced(made: NodeProcess, pid: int) -> bool:
    return bool(_record(made)["pid"] != pid)


def _record(made: NodeProcess) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((made.data / "temporal" / "temporal.json").read_text())
    return found
