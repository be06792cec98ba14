"""What a measurement found, and the table of all."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One row. `met` None: there is no goal to compare with."""

    measure: str
    found: str
    goal: str = ""
    yardstick: str = ""
    met: bool | None = None


def table(figures: Sequence[Figure]) -> str:
    """Markdown."""
    lines = ["| measure | found | yardstick, same run | goal | met |", "|---|---|---|---|---|"]
    for f in figures:
        met = {None: "", True: "yes", False: "**no**"}[f.met]
        lines.append(f"| {f.measure} | {f.found} | {f.yardstick} | {f.goal} | {met} |")
    return "\n".join(lines)


def p99(ms: Sequence[float]) -> float:
    return sorted(ms)[int(0.99 * (len(ms) - 1))]


def spread(ms: Sequence[float]) -> str:
    return f"p50 {statistics.median(ms):.1f} ms, p99 {p99(ms):.1f} ms, at most {max(ms):.1f} ms"
