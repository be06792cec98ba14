"""`python -m chaos [KILLS] [--storm NAME] [--seed N]`: break things while deployments run, and note what was lost.

The storm `kills`, unless another is named: three of five on the `memory` provider, whose instances cost nothing, the
others on a Docker engine, both at the same time. Exits with 1 when anything was lost, made twice, left behind or
wrong. SIGTERM or Ctrl-C ends it early: what was begun is waited for, and the report says so. The report is kept in
docs/reports/ when there were enough kills for it.
"""

import argparse
import secrets
import shutil
import signal
import tempfile
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from threading import Event

from chaos.report import line, report
from chaos.storm import Outcome, storm
from chaos.storms import STORMS, WORLDS, Storm

REPORTS = Path(__file__).parents[1] / "docs" / "reports"
TELL_S = 15.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("kills", nargs="?", type=int, help="as many as are enough for a report, unless given")
    parser.add_argument("--storm", choices=STORMS, default="kills")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    given = parser.parse_args()
    chosen = STORMS[given.storm]
    kills = given.kills or chosen.enough
    print(f"{given.storm}: {kills} with seed {given.seed} …", flush=True)
    outcomes = [Outcome(world, given.seed, int(kills * share)) for world, share in chosen.shares.items()]
    _rage(chosen, outcomes)
    text = report(chosen.about, outcomes)
    print(text)
    if kills >= chosen.enough and all(outcome.finished for outcome in outcomes):
        REPORTS.mkdir(exist_ok=True)
        (REPORTS / chosen.report).write_text(text)
    raise SystemExit(any(outcome.bad or not outcome.finished for outcome in outcomes))


def _rage(chosen: Storm, outcomes: list[Outcome]) -> None:
    """In all of its worlds at once, until they are done or a signal comes; a line of each now and then."""
    ended, began = Event(), time.monotonic()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with ThreadPoolExecutor(len(outcomes)) as pool:
        worlds: list[Future[None]] = [pool.submit(_one, chosen, outcome, ended) for outcome in outcomes]
        while wait(worlds, TELL_S).not_done:
            for outcome in outcomes:
                print(f"{time.monotonic() - began:5.0f} s  {line(outcome)}", flush=True)
    for each in worlds:
        each.result()


def _one(chosen: Storm, outcome: Outcome, ended: Event) -> None:
    """Logs and data are kept when something is not as it should be."""
    folder = Path(tempfile.mkdtemp(prefix="iarnet-chaos-"))
    with WORLDS[outcome.world](folder) as world:
        storm(world, outcome, apps=chosen.apps, ended=ended)
    if outcome.bad:
        print(f"{outcome.world}: see {folder}", flush=True)
    else:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
