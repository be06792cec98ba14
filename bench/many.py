"""A node with many applications that do nothing: what one more takes, what it costs to have them, and to start with
them."""

import asyncio
import json
import statistics
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from bench.options import Options
from bench.programs import LoadProgram
from bench.report import Figure
from bench.world import cpu_s
from chaos.worlds import in_memory
from tests.e2e.busybox import SERVE, application, component
from tests.e2e.harness import NodeProcess

SOME, FEW, MANY = 10, 100, 1000
TIMES = 20
MIB = 2**20
_AT_ONCE = 8
_IDLE_S = 30.0
_BESIDE = "beside"


@dataclass
class Sample:
    """Of the same application, deployed and stopped again and again, beside `others` of which nothing is asked."""

    node: NodeProcess
    others: int
    wall_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)

    def take(self) -> None:
        before, began = self._cpu_s(), time.monotonic()
        _deployed(self.node, _BESIDE)
        self.wall_ms.append(1000 * (time.monotonic() - began))
        _done(self.node, f"/api/v1/apps/{_BESIDE}/stop", {})
        self.cpu_ms.append(1000 * (self._cpu_s() - before))

    def _cpu_s(self) -> float:
        """The node's and Temporal's."""
        assert self.node.process
        server = json.loads((self.node.data / "temporal" / "temporal.json").read_text())["pid"]
        return cpu_s(psutil.Process(self.node.process.pid)) + cpu_s(psutil.Process(server))

    @property
    def found(self) -> str:
        return f"{statistics.median(self.wall_ms):.0f} ms, {statistics.median(self.cpu_ms):.0f} ms of CPU"


async def many(program: LoadProgram, folder: Path, options: Options) -> list[Figure]:
    return await asyncio.to_thread(_many, folder, options)


def _many(folder: Path, options: Options) -> list[Figure]:
    """Beside a node with few of them, in the same minute: what else happens on the machine meets both."""
    some, few, more = options.of(SOME), options.of(FEW), options.of(MANY)
    web, worker = (
        component(name, SERVE, health="{type: tcp}", kind="web", ports="[8080]", publish="false")
        for name in ("web", "worker")
    )
    url = application(folder / "repository", web, worker).url
    (folder / "small").mkdir()
    (folder / "large").mkdir()
    with in_memory(folder / "small") as small, in_memory(folder / "large") as large:
        for world, count in ((small, some), (large, few)):
            _bring(world.node, url, (_BESIDE, *_names(0, count)))
            _done(world.node, f"/api/v1/apps/{_BESIDE}/stop", {})
        idle = _idle(large.node, few)
        flat = _flat(small.node, large.node, some, few, options)
        _bring(large.node, url, _names(few, more))
        flat += _flat(small.node, large.node, some, more, options)
        large.node.kill()
        started = large.node.up()
    return [
        *idle,
        *flat,
        Figure(
            f"a node killed and started again with {more:,} applications: its API answers after",
            f"{started:.2f} s",
            "≤ 5 s",
            met=started <= 5,
        ),
    ]


def _names(first: int, end: int) -> list[str]:
    return [f"app{number}" for number in range(first, end)]


def _bring(node: NodeProcess, url: str, apps: Iterable[str]) -> None:
    def bring(app: str) -> None:
        _done(node, "/api/v1/apps", {"url": url, "name": app})
        _deployed(node, app)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(bring, apps))


def _deployed(node: NodeProcess, app: str) -> None:
    _done(node, f"/api/v1/apps/{app}/deploy", {"fetch": False})


def _done(node: NodeProcess, path: str, body: dict[str, object]) -> None:
    progress = node.finished(node.api("POST", path, body))
    assert progress["status"] == "succeeded", progress


def _flat(small: NodeProcess, large: NodeProcess, some: int, more: int, options: Options) -> list[Figure]:
    few, many = Sample(small, some), Sample(large, more)
    for sample in (few, many):
        sample.take()
        sample.wall_ms.clear()
        sample.cpu_ms.clear()
    for _ in range(options.of(TIMES)):
        few.take()
        many.take()
    ratio = statistics.median(many.wall_ms) / statistics.median(few.wall_ms)
    events, size = _history(large)
    fewer, smaller = _history(small)
    return [
        Figure(
            f"an application of 2 components deployed beside {more:,} others, and the CPU time with its stop:"
            f" the node's and Temporal's, median of {len(many.wall_ms)}",
            f"{many.found}: {ratio:.2f}×",
            "flat within 1.2×",
            f"beside {some}: {few.found}",
            met=ratio <= 1.2,
        ),
        Figure(
            "… history of its deployment",
            f"{events} events, {size / 1024:.1f} KiB",
            "flat within 1.2×",
            f"{fewer} events, {smaller / 1024:.1f} KiB",
            met=size <= 1.2 * smaller,
        ),
    ]


def _history(node: NodeProcess) -> tuple[int, int]:
    """Events and bytes of one more deployment."""
    _deployed(node, _BESIDE)
    described = node.temporal("workflow", "describe", "--workflow-id", f"change.{_BESIDE}", "--output", "json")
    info = json.loads(described.out)["workflowExecutionInfo"]
    _done(node, f"/api/v1/apps/{_BESIDE}/stop", {})
    return int(info["historyLength"]), int(info["historySizeBytes"])


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
