"""`python -m chaos [KILLS] [--seed N]`: kill at random while deployments run, and write down what was lost.

Four of five kills are on the `memory` provider, whose instances cost nothing, the others on a Docker engine. Exits
with 1 when anything was lost, made twice, left behind or wrong. The report is kept when there were 1,000 kills.
"""

import argparse
import secrets
import tempfile
from pathlib import Path

from chaos.report import report
from chaos.storm import Outcome, storm
from chaos.worlds import WORLDS

KILLS = 1000
APPS = {"memory": 4, "Docker": 3}
SHARES = {"memory": 0.8, "Docker": 0.2}
REPORT = Path(__file__).parents[1] / "docs" / "reports" / "chaos.md"


def main() -> None:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("kills", nargs="?", type=int, default=KILLS)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    given = parser.parse_args()
    print(f"{given.kills} kills with seed {given.seed} …", flush=True)
    outcomes = [_raged(name, int(given.kills * share), given.seed) for name, share in SHARES.items()]
    text = report(outcomes)
    print(text)
    if given.kills >= KILLS:
        REPORT.parent.mkdir(exist_ok=True)
        REPORT.write_text(text)
    raise SystemExit(any(outcome.bad for outcome in outcomes))


def _raged(name: str, kills: int, seed: int) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="iarnet-chaos-") as folder, WORLDS[name](Path(folder)) as world:
        outcome = storm(world, kills=kills, apps=APPS[name], seed=seed)
        if outcome.bad:
            print(f"{name}: {outcome.bad}\n{world.node.tail(200)}", flush=True)
    return outcome


if __name__ == "__main__":
    main()
