"""A node with many applications that do nothing: what it costs to have them, and to start with them."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from bench.options import Options
from bench.programs import LoadProgram
from bench.report import Figure
from bench.world import cpu_s
from chaos.worlds import in_memory
from tests.e2e.busybox import SERVE, application, component
from tests.e2e.harness import NodeProcess

FEW, MANY = 100, 1000
MIB = 2**20
_AT_ONCE = 8
_IDLE_S = 30.0


async def many(program: LoadProgram, folder: Path, options: Options) -> list[Figure]:
    return await asyncio.to_thread(_many, folder, options)


def _many(folder: Path, options: Options) -> list[Figure]:
    few, more = options.of(FEW), options.of(MANY)
    web, worker = (
        component(name, SERVE, health="{type: tcp}", kind="web", ports="[8080]", publish="false")
        for name in ("web", "worker")
    )
    url = application(folder / "repository", web, worker).url
    with in_memory(folder) as world:
        first = _deployed(world.node, url, range(few))
        idle = _idle(world.node, few)
        later = _deployed(world.node, url, range(few, more))
        world.node.kill()
        started = world.node.up()
    return [
        *idle,
        Figure(
            f"applications of 2 components, one after the other {_AT_ONCE} times at once: time for each",
            f"the first {few}: {first:.0f} ms, up to {more:,}: {later:.0f} ms",
            "flat within 1.2×",
            met=later <= 1.2 * first,
        ),
        Figure(
            f"a node killed and started again with {more:,} applications: its API answers after",
            f"{started:.2f} s",
            "≤ 5 s",
            met=started <= 5,
        ),
    ]


def _deployed(node: NodeProcess, url: str, numbers: range) -> float:
    """Milliseconds for each of them."""

    def bring(number: int) -> None:
        app = f"app{number}"
        node.finished(node.api("POST", "/api/v1/apps", {"url": url, "name": app}))
        progress = node.finished(node.api("POST", f"/api/v1/apps/{app}/deploy", {"fetch": False}))
        assert progress["status"] == "succeeded", progress

    began = time.monotonic()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(bring, numbers))
    return 1000 * (time.monotonic() - began) / len(numbers)


def _idle(node: NodeProcess, apps: int) -> list[Figure]:
    """Without its children: Temporal has figures of its own."""
    assert node.process
    process = psutil.Process(node.process.pid)
    before, began = cpu_s(process), time.monotonic()
    time.sleep(_IDLE_S)
    share = 100 * (cpu_s(process) - before) / (time.monotonic() - began)
    mib = process.memory_info().rss / MIB
    return [
        Figure(
            f"an idle node with {apps} applications, without Temporal",
            f"{share:.1f} % of a core, {mib:.0f} MiB",
            "≤ 2 %, ≤ 400 MB",
            met=share <= 2 and mib * MIB <= 400e6,
        )
    ]
