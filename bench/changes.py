"""Changes of routes and endpoints while requests come: none may fail, and each has to take effect soon."""

import asyncio
import time
from bisect import bisect_left
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from bench.options import Options
from bench.programs import Exchange, LoadProgram, exchanges
from bench.report import Figure, p99, spread
from bench.world import APP, COMPONENT, World, world
from iarnet.models.traffic import Backend, Route

RATE = 10_000
CHANGES = 1000
SECONDS = 100
_REVISIONS = {1: ("127.0.0.2", "127.0.0.3"), 2: ("127.0.0.4", "127.0.0.5")}


@dataclass(frozen=True)
class Change:
    """Requests after it are answered by nobody of `gone`, and also by `comes`. Times in ns since the epoch."""

    kind: str
    began: int
    returned: int
    gone: tuple[str, ...] = ()
    comes: str = ""


async def changes(program: LoadProgram, folder: Path, options: Options) -> list[Figure]:
    """All requests take one route, which is changed itself: each answer says who was chosen for it."""
    count, seconds, log = options.of(CHANGES), SECONDS * options.scale, folder / "exchanges"
    async with world(folder) as made, program.serving(*(made.at(a) for at in _REVISIONS.values() for a in at)):
        for revision, at in _REVISIONS.items():
            await made.admit(*at, revision=revision)
        await _lead(made, 1)
        asking = asyncio.create_task(program.ask(made.to, seconds=seconds, rate=RATE, log=str(log)))
        await asyncio.sleep(0.5)
        done = [change async for change in _changes(made, count, (seconds - 1) / count)]
        asked = await asking
    effects = _effects(done, exchanges(log, asked.answers))
    every = [ms for _, ms in effects]
    for kind in ("route", "suspend", "admit"):
        options.say(f"{kind}: in effect after {spread([ms for k, ms in effects if k == kind])}")
    options.say(f"load: {asked}")
    return [
        Figure(
            f"{count:,} changes of routes and endpoints under {RATE:,} requests/s: failed requests",
            f"{asked.failed} of {asked.asked:,}, at {asked.per_s:,.0f}/s",
            f"0 of {RATE * seconds:,.0f}",
            met=asked.failed == 0,
        ),
        Figure("… a change is in effect after", spread(every), "≤ 50 ms p99", met=p99(every) <= 50),
        Figure("… and its call has returned after", spread([(c.returned - c.began) / 1e6 for c in done])),
    ]


async def _changes(made: World, count: int, period_s: float) -> AsyncIterator[Change]:
    """At fixed times, or as soon as the last one has returned."""
    kinds, revision = cycle(("route", "suspend", "admit")), 1
    due = time.monotonic()
    for number, kind in zip(range(count), kinds):  # noqa: B905
        due += period_s
        await asyncio.sleep(max(0, due - time.monotonic()))
        address = _REVISIONS[revision][number // 6 % 2]
        began = time.time_ns()
        if kind == "route":
            gone, revision = _REVISIONS[revision], 3 - revision
            await _lead(made, revision)
            yield Change(kind, began, time.time_ns(), gone=gone)
        elif kind == "suspend":
            await made.gateway.suspend(address)
            yield Change(kind, began, time.time_ns(), gone=(address,))
        else:
            await made.admit(address, revision=revision)
            yield Change(kind, began, time.time_ns(), comes=address)


async def _lead(made: World, revision: int) -> None:
    """As the API does it."""
    route = Route(id="main", app=APP, component=COMPONENT, to=(Backend(component=COMPONENT, revision=revision),))
    await made.store.traffic.put_route(route)
    await made.gateway.refresh(APP)


def _effects(done: list[Change], seen: list[Exchange]) -> list[tuple[str, float]]:
    """Kind and milliseconds: until the last request that went to who was to get none was sent, or until the first
    answer of who was to get some. What is not seen before the next change counts as the whole time until that."""
    sent = [exchange.sent for exchange in seen]
    ends = [*(change.began for change in done[1:]), done[-1].returned + 100_000_000]
    found = []
    for change, end in zip(done, ends, strict=True):
        during = seen[bisect_left(sent, change.began) : bisect_left(sent, end)]
        if change.comes:
            at = min((e.ended for e in during if e.by == change.comes), default=end)
        else:
            at = max((e.sent for e in during if e.by in change.gone), default=change.began)
        found.append((change.kind, (at - change.began) / 1e6))
    return found
