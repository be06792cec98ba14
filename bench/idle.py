"""What connections cost that nobody uses at the moment."""

import asyncio
import resource
from contextlib import AsyncExitStack
from math import ceil
from pathlib import Path

from bench.options import Options
from bench.programs import Held, LoadProgram
from bench.report import Figure
from bench.world import World, world

CONNECTIONS = 100_000
MILLION = 1_000_000
_BACKEND = "127.0.0.2"
# What a process has open besides.
_OTHER_FILES = 1000
# Connections to instances end meanwhile: what is left is what users cost.
_SETTLES_S = 3.0


async def idle(program: LoadProgram, folder: Path, options: Options) -> list[Figure]:
    """Through one Envoy where it may have so many files open, else side by side through as few as it takes.

    Each connection has had one request before, as a browser's that is kept for the next page.
    """
    wanted = options.of(CONNECTIONS)
    _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    envoys = ceil(wanted / (limit - _OTHER_FILES))
    async with AsyncExitStack() as stack:
        worlds = [await _ready(program, folder / str(n), stack) for n in range(envoys)]
        rss, kernel = _rss(worlds), _kernel()
        holders = []
        for number, made in enumerate(worlds):
            share = wanted // envoys + (number < wanted % envoys)
            at = f"127.0.1.{number + 1}"
            holders.append(await stack.enter_async_context(program.holding(made.to, connections=share, source=at)))
            options.say(f"{holders[-1].held:,} held {holders[-1].problem}")
        await asyncio.sleep(_SETTLES_S)
        figures = _figures(holders, limit, rss, _rss(worlds), _kernel() - kernel)
        answered = [await holder.alive() for holder in holders]
        options.say(f"answered once more: {answered}")
        alive = sum(count for count, _ in answered)
    held = f"{sum(h.held for h in holders):,} through {envoys} Envoy{'s' if envoys > 1 else ''}"
    why = f" (this machine allows a process {limit:,} files)" if envoys > 1 else ""
    return [
        Figure(
            f"{wanted:,} idle connections",
            f"held: {held}{why}; {alive:,} answered once more afterwards",
            "held",
            met=alive == wanted,
        ),
        *figures,
    ]


async def _ready(program: LoadProgram, folder: Path, stack: AsyncExitStack) -> World:
    """Used by as many connections at once as will come at once, so that what is only needed once is there."""
    folder.mkdir()
    made = await stack.enter_async_context(world(folder))
    await stack.enter_async_context(program.serving(made.at(_BACKEND)))
    await made.admit(_BACKEND)
    await program.ask(made.to, seconds=1, rate=1000)
    return made


def _figures(holders: list[Held], limit: int, before: list[int], after: list[int], kernel: int) -> list[Figure]:
    held = sum(holder.held for holder in holders)
    envoy = (sum(after) - sum(before)) / held
    base = sum(before) / len(before)
    total = base + envoy * MILLION
    return [
        Figure(
            "… memory for each: Envoy's own, and the kernel's for both ends of the connection",
            f"{envoy / 1024:.1f} KiB and {kernel / held / 1024:.1f} KiB",
        ),
        Figure(
            "… a million through one Envoy, extrapolated",
            f"{base / 2**20:.0f} MiB + 1,000,000 × {envoy / 1024:.1f} KiB = {total / 2**30:.1f} GiB of Envoy;"
            f" {MILLION + _OTHER_FILES:,} files (here: {limit:,})",
        ),
    ]


def _rss(worlds: list[World]) -> list[int]:
    return [made.envoy.memory_info().rss for made in worlds]


def _kernel() -> int:
    """Bytes in slabs and socket buffers, of the whole machine: others change it, too."""
    meminfo = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return int(meminfo["Slab"].split()[0]) * 1024
