"""The same node on an embedded Temporal, and on servers: Temporal, or Temporal and the store, on PostgreSQL."""

import statistics
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from bench.durable import COMPONENTS, known
from bench.inside import Inside, inside
from bench.options import Options
from bench.programs import LoadProgram
from bench.report import Figure
from iarnet.config_sections import Temporal
from tests.e2e.topology import Topology, topology

TIMES = 10
REQUESTS = 50
_OURS = "embedded"

Found = dict[str, list[float]]
"""Milliseconds, by where the servers are."""


async def servers(program: LoadProgram, folder: Path, options: Options) -> list[Figure]:
    """In turns, from one process: what else happens on the machine meets all of them."""
    count = options.of(COMPONENTS)
    with topology(folder, "none") as shared:
        async with AsyncExitStack() as stack:
            nodes: dict[str, Inside] = {}
            for name, given in _places(shared).items():
                nodes[name] = await stack.enter_async_context(inside(folder / name.replace(" ", "-"), **given))
                await known(nodes[name], folder / f"of {name}", "many", count)
                await known(nodes[name], folder / f"of {name}", "one", 1)
            each, _ = await _in_turns(nodes, "many", options.of(TIMES))
            _, first = await _in_turns(nodes, "one", options.of(REQUESTS))
    return [
        *_compared(f"durable cost of a component, {count} components, median of {options.of(TIMES)}", each, count),
        *_compared(f"request → first effect, p50 of {options.of(REQUESTS)}", first, 1),
    ]


def _places(shared: Topology) -> dict[str, dict[str, Any]]:
    """PostgreSQL is one without `fsync`, as that of the tests; the embedded ones do not wait for the disk either."""
    places: dict[str, dict[str, Any]] = {_OURS: {}}
    for database, name in (("half", "Temporal on PostgreSQL"), ("whole", "the store there, too")):
        one = shared.of_one(database)
        temporal = Temporal(address=one["IARNET_TEMPORAL__ADDRESS"], namespace=one["IARNET_TEMPORAL__NAMESPACE"])
        places[name] = {"temporal": temporal}
        if database == "whole":
            places[name]["database_url"] = one["IARNET_DATABASE_URL"]
    return places


async def _in_turns(nodes: dict[str, Inside], app: str, times: int) -> tuple[Found, Found]:
    """Milliseconds until all is healthy, and until the first effect. The first time warms up."""
    whole: Found = {name: [] for name in nodes}
    first: Found = {name: [] for name in nodes}
    for _ in range(times + 1):
        for name, node in nodes.items():
            node.calls.at.clear()
            began = time.monotonic()
            seconds = await node.deployed(app)
            whole[name].append(1000 * seconds)
            first[name].append(1000 * (node.calls.at[0] - began))
    for ms in (*whole.values(), *first.values()):
        ms.pop(0)
    return whole, first


def _compared(measure: str, found: Found, parts: int) -> list[Figure]:
    middle = {name: statistics.median(ms) / parts for name, ms in found.items()}
    return [
        Figure(
            f"{measure}: {name}",
            f"{ms:.1f} ms, {ms / middle[_OURS]:.2f}×",
            "≤ 1.5×",
            f"{_OURS}: {middle[_OURS]:.1f} ms",
            met=ms <= 1.5 * middle[_OURS],
        )
        for name, ms in middle.items()
        if name != _OURS
    ]
