"""What storms have left, in Markdown."""

import os
import platform
import statistics
import time
from collections import Counter
from collections.abc import Sequence

from chaos.kills import KILLS
from chaos.storm import Outcome

_HEAD = """# Chaos

What `make chaos` found on {day}, seed {seed}; {machine}.

While people deploy, scale, stop, start and delete applications without end, the node (worker and API), its Temporal,
or both are killed with SIGKILL at random moments. A change counts as accepted when its client was told so, or when it
runs although the answer was lost. Orphans, duplicates and states are counted as they are at most 30 s after the last
change has ended, by what the provider itself says and by the rows of the store.
"""


def report(outcomes: Sequence[Outcome]) -> str:
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.release()}, Python {platform.python_version()}"
    load = f"load average at the end {os.getloadavg()[0]:.1f}"
    head = _HEAD.format(day=time.strftime("%Y-%m-%d"), seed=outcomes[0].seed, machine=f"{machine}, {load}")
    columns = [_column(outcome) for outcome in outcomes]
    names = " | ".join(outcome.world for outcome in outcomes)
    rows = [f"| {row} | {' | '.join(column[row] for column in columns)} |" for row in columns[0]]
    bad = [f"- {outcome.world}: {each}" for outcome in outcomes for each in outcome.bad]
    return "\n".join([head, f"| | {names} |", f"|---|{'---|' * len(outcomes)}", *rows, "", *bad])


def _column(outcome: Outcome) -> dict[str, str]:
    verbs = Counter(promise.verb for promise in outcome.promises).most_common()
    return {
        "kills": str(len(outcome.kills)),
        "changes accepted": f"{len(outcome.promises)}: {', '.join(f'{n} {verb}' for verb, n in verbs)}",
        "lost: accepted, and never ended": str(len(outcome.lost)),
        "ended otherwise than well": str(len(outcome.failed)),
        "duplicates: two instances of one replica": str(len(outcome.duplicates)),
        "orphans: what belongs to nothing": str(len(outcome.orphans)),
        "wrong final states": str(len(outcome.wrong)),
        "all as it should be after": f"{outcome.settled_s:.1f} s",
    } | {f"{what} killed, answers again": _spread(outcome.times(what)) for what in KILLS}


def _spread(times: Sequence[float]) -> str:
    if not times:
        return "–"
    return f"{len(times)} ×, median {statistics.median(times):.2f} s, at most {max(times):.2f} s"
