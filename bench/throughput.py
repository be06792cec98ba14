"""Requests a second and latency through the managed gateway, against the same Envoy with a hand-written file."""

import statistics
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from bench.options import Options
from bench.programs import Asked, LoadProgram
from bench.quiet import Others, quiet
from bench.report import Figure
from bench.world import by_hand, cpu_s, world

RATE = 20_000
_LOWER = (17_500, 15_000, 12_500, 10_000, 7_500, 5_000)
_BACKENDS = ("127.0.0.2", "127.0.0.3")
_GOAL_MS = 10
_HELD = 0.99


@dataclass(frozen=True)
class Way:
    name: str
    to: str
    envoy: psutil.Process


@dataclass(frozen=True)
class Half:
    """`cpu_us` is Envoy's time for each request, `others` the share of the machine that was not ours."""

    asked: Asked
    cpu_us: float
    others: float


@dataclass(frozen=True)
class Round:
    """Both ways, one right after the other."""

    static: Half
    managed: Half

    @property
    def others(self) -> float:
        return max(self.static.others, self.managed.others)


Measure = Callable[[float], Awaitable[list[Round]]]


async def throughput(program: LoadProgram, folder: Path, options: Options) -> list[Figure]:
    async with world(folder) as made, program.serving(*(made.at(a) for a in _BACKENDS)):
        await made.admit(*_BACKENDS)
        async with by_hand(folder, *(f"{a}:{made.port}" for a in _BACKENDS)) as (to, envoy):
            static, managed = Way("by hand", to, envoy), Way("managed", made.to, made.envoy)
            half = partial(_half, program, options)
            for way in (static, managed):
                await half(way, 0)  # what is only needed once
            measure = partial(_rounds, half, static, managed, options)
            rate = await _held(half, static)
            most, fixed = _most(await measure(0)), _latency(RATE, await measure(RATE))
            return [*most, fixed, *([_latency(rate, await measure(rate))] if rate else [])]


async def _rounds(
    half: Callable[[Way, float], Awaitable[Half]], static: Way, managed: Way, options: Options, rate: float
) -> list[Round]:
    """The half of them in which the machine was least disturbed. Each way is the first one in every other round."""
    rounds = []
    for number in range(options.rounds):
        await quiet(options.patience_s)
        if number % 2:
            one = await half(static, rate)
            rounds.append(Round(one, await half(managed, rate)))
        else:
            one = await half(managed, rate)
            rounds.append(Round(await half(static, rate), one))
        options.say(f"by hand {rounds[-1].static.asked} | managed {rounds[-1].managed.asked}")
    return sorted(rounds, key=lambda r: r.others)[: (len(rounds) + 1) // 2]


async def _half(program: LoadProgram, options: Options, way: Way, rate: float) -> Half:
    before, others = cpu_s(way.envoy), Others()
    asked = await program.ask(way.to, seconds=options.seconds, rate=rate)
    return Half(asked, (cpu_s(way.envoy) - before) / asked.asked * 1e6, others.share())


async def _held(half: Callable[[Way, float], Awaitable[Half]], static: Way) -> int:
    """The highest rate at which the yardstick meets the goal itself: above, it is the machine that is measured."""
    for rate in (RATE, *_LOWER):
        await quiet(10)
        asked = (await half(static, rate)).asked
        if asked.per_s >= _HELD * rate and asked.ms["p99"] <= _GOAL_MS:
            return rate if rate < RATE else 0
    return _LOWER[-1]


def _most(rounds: Sequence[Round]) -> list[Figure]:
    ratio = statistics.median(r.managed.asked.per_s / r.static.asked.per_s for r in rounds)
    cpu = statistics.median(r.managed.cpu_us / r.static.cpu_us for r in rounds)
    failed = sum(r.managed.asked.failed for r in rounds)
    others = statistics.median(r.others for r in rounds)
    return [
        Figure(
            "requests a second, as many as possible, 64 connections",
            f"{statistics.median(r.managed.asked.per_s for r in rounds):,.0f}/s: {ratio:.3f}×, {failed} failed",
            "≥ 0.97×",
            f"{statistics.median(r.static.asked.per_s for r in rounds):,.0f}/s;"
            f" others used {others:.0%} of the machine",
            ratio >= 0.97 and not failed,
        ),
        Figure(
            "… Envoy's CPU time for each",
            f"{statistics.median(r.managed.cpu_us for r in rounds):.1f} µs: {cpu:.3f}×",
            yardstick=f"{statistics.median(r.static.cpu_us for r in rounds):.1f} µs",
        ),
    ]


def _latency(rate: float, rounds: Sequence[Round]) -> Figure:
    p99 = statistics.median(r.managed.asked.ms["p99"] for r in rounds)
    failed = sum(r.managed.asked.failed for r in rounds)
    return Figure(
        f"p99 at {rate:,}/s",
        f"{p99:.1f} ms at {statistics.median(r.managed.asked.per_s for r in rounds):,.0f}/s, {failed} failed",
        f"≤ {_GOAL_MS} ms",
        f"{statistics.median(r.static.asked.ms['p99'] for r in rounds):.1f} ms"
        f" at {statistics.median(r.static.asked.per_s for r in rounds):,.0f}/s;"
        f" others used {statistics.median(r.others for r in rounds):.0%} of the machine",
        p99 <= _GOAL_MS and not failed,
    )
