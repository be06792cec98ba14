"""What storms have left, in Markdown."""

import os
import platform
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from textwrap import fill

from chaos.storm import Outcome

_WIDTH = 118
_HOW = """While people deploy, scale, stop, start and delete applications without end, {about}, at random moments. A
change counts as accepted when its client was told so, or when it runs although the answer was lost. Orphans,
duplicates and states are counted as they are at most 30 s after the last change has ended, by what the provider
itself says and by the rows of the store. "Well again" is when everything that was struck answers."""


def report(about: str, outcomes: Sequence[Outcome]) -> str:
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.release()}, Python {platform.python_version()}"
    load = f"load average at the end {os.getloadavg()[0]:.1f}"
    found = f"What `make chaos` found on {time.strftime('%Y-%m-%d')}, seed {outcomes[0].seed}; {machine}, {load}."
    head = ["# Chaos", "", fill(found, _WIDTH), "", fill(_HOW.format(about=about), _WIDTH), ""]
    columns = [_column(outcome) for outcome in outcomes]
    names = " | ".join(outcome.world for outcome in outcomes)
    rows = dict.fromkeys(row for column in columns for row in column)
    table = [f"| {row} | {' | '.join(column.get(row, '–') for column in columns)} |" for row in rows]
    bad = [f"- {outcome.world}: {each}" for outcome in outcomes for each in outcome.bad]
    return "\n".join(
        [*head, f"| | {names} |", f"|---|{'---|' * len(outcomes)}", *table, *([""] if bad else []), *bad, ""]
    )


def line(outcome: Outcome) -> str:
    """Where it stands."""
    counts = {
        "kills": len(outcome.kills),
        "accepted": len(outcome.promises),
        "lost": len(outcome.lost),
        "failed": len(outcome.failed),
        "problems": len(outcome.problems),
    }
    return f"{outcome.world}: {', '.join(f'{count} {what}' for what, count in counts.items())}"


def _column(outcome: Outcome) -> dict[str, str]:
    verbs = Counter(promise.verb for promise in outcome.promises).most_common()
    return {
        "blows": str(len(outcome.kills))
        if outcome.finished
        else f"{len(outcome.kills)} of {outcome.asked}: **unfinished**",
        "changes accepted": f"{len(outcome.promises)}: {', '.join(f'{n} {verb}' for verb, n in verbs)}",
        "lost: accepted, and never ended": str(len(outcome.lost)),
        "ended otherwise than well": str(len(outcome.failed)),
        "duplicates: two instances of one replica": str(len(outcome.duplicates)),
        "orphans: what belongs to nothing": str(len(outcome.orphans)),
        "wrong final states": str(len(outcome.wrong)),
        "all as it should be after": "never looked at" if outcome.settled_s is None else f"{outcome.settled_s:.1f} s",
    } | {
        f"{what}: well again after": _spread(outcome.times(what)) for what in sorted({k.what for k in outcome.kills})
    }


def _spread(times: Sequence[float]) -> str:
    return f"{len(times)} ×, median {statistics.median(times):.2f} s, at most {max(times):.2f} s"
