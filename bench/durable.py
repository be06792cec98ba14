"""What it costs that nothing is lost: deployments on a provider that takes no time."""

import statistics
import time
from pathlib import Path

from bench.inside import Inside, inside
from bench.options import Options
from bench.programs import LoadProgram
from bench.report import Figure, p99, spread
from bench.yardstick import in_sequence, working
from tests.e2e.busybox import SERVE, application, component

COMPONENTS = 100
TIMES = 10
REQUESTS = 200
SIZES = (5, 50, 200)


async def durable(program: LoadProgram, folder: Path, options: Options) -> list[Figure]:
    async with inside(folder) as node, working(node.client):
        return [
            *await _each(node, folder, options),
            await _first(node, folder, options),
            *await _flat(node, folder, options),
        ]


async def _each(node: Inside, folder: Path, options: Options) -> list[Figure]:
    """In turns with the yardstick, so that what else happens on the machine meets both."""
    count = options.of(COMPONENTS)
    await known(node, folder, "many", count)
    await node.deployed("many")
    seconds, alone, ours, temporals = [], [], 0.0, 0.0
    for _ in range(times := options.of(TIMES)):
        alone.append(await in_sequence(node.client, count))
        before = node.cpu_s()
        seconds.append(await node.deployed("many"))
        after = node.cpu_s()
        ours, temporals = ours + after[0] - before[0], temporals + after[1] - before[1]
    found = statistics.median(seconds) / count * 1000
    return [
        Figure(
            f"durable cost of a component, {count} components, `memory` provider, median of {times}",
            f"{found:.1f} ms",
            "≤ 8 ms",
            f"one activity each in sequence: {statistics.median(alone) / count * 1000:.1f} ms",
            met=found <= 8,
        ),
        Figure(
            "… CPU time of it, its removal included: the node's with whoever asks, and Temporal's",
            f"{ours / times / count * 1000:.1f} ms and {temporals / times / count * 1000:.1f} ms",
        ),
    ]


async def _first(node: Inside, folder: Path, options: Options) -> Figure:
    await known(node, folder, "one", 1)
    await node.deployed("one")
    ms, alone = [], []
    for _ in range(options.of(REQUESTS)):
        alone.append(1000 * await in_sequence(node.client, 1))
        node.calls.at.clear()
        began = time.monotonic()
        await node.deployed("one")
        ms.append(1000 * (node.calls.at[0] - began))
    return Figure(
        f"request to the API → first effect on a provider, {len(ms)} times",
        spread(ms),
        "p50 ≤ 25 ms, p99 ≤ 60 ms",
        f"a workflow with one activity: {spread(alone)}",
        met=statistics.median(ms) <= 25 and p99(ms) <= 60,
    )


async def _flat(node: Inside, folder: Path, options: Options) -> list[Figure]:
    """The sizes in turns; what a deployment without components would take is not taken off."""
    sizes = [options.of(size) for size in SIZES]
    ms: dict[int, list[float]] = {size: [] for size in sizes}
    histories: dict[int, tuple[float, float]] = {}
    for size in ms:
        await known(node, folder, f"of{size}", size)
        await node.deployed(f"of{size}")
    for _ in range(options.of(TIMES)):
        for size, found in ms.items():
            found.append(1000 * await node.deployed(f"of{size}") / size)
            events, size_bytes = await node.history(f"of{size}")
            histories[size] = (events / size, size_bytes / size / 1024)
    middle = {size: statistics.median(found) for size, found in ms.items()}
    few, many = min(middle), max(middle)
    return [
        Figure(
            "time for each component, by how many an application has",
            ", ".join(f"{size}: {each:.1f} ms" for size, each in middle.items()),
            "flat within 1.2×",
            met=middle[many] <= 1.2 * middle[few],
        ),
        Figure(
            "history of its deployment for each component",
            ", ".join(f"{size}: {events:.1f} events, {kib:.1f} KiB" for size, (events, kib) in histories.items()),
            "flat within 1.2×",
            met=all(histories[many][n] <= 1.2 * histories[few][n] for n in (0, 1)),
        ),
    ]


async def known(node: Inside, folder: Path, app: str, count: int) -> None:
    """Imported: that many components which need nothing of each other."""
    described = [component(f"c{n}", SERVE, kind="web", ports="[8080]", publish="false") for n in range(count)]
    await node.imported(app, application(folder / app, *described).url)
