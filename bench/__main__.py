"""`python -m bench [ROW ...] [--scale S]`: measure, and print the table. See bench/README.md."""

import argparse
import asyncio
import os
import platform
import signal
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from bench.apps import apps
from bench.changes import changes
from bench.deploying import deploying
from bench.durable import durable
from bench.failures import envoy_killed, instance_killed, node_killed
from bench.idle import idle
from bench.many import many
from bench.operations import operations
from bench.options import Options
from bench.programs import LoadProgram, load_program
from bench.reimporting import reimporting
from bench.replacing import replacing
from bench.report import Figure, table
from bench.restarting import restarting
from bench.resuming import resuming
from bench.servers import servers
from bench.throughput import throughput

Row = Callable[[LoadProgram, Path, Options], Awaitable[list[Figure]]]

ROWS: dict[str, Row] = {
    "throughput": throughput,
    "changes": changes,
    "instance": instance_killed,
    "envoy": envoy_killed,
    "node": node_killed,
    "idle": idle,
    "apps": apps,
    "replacing": replacing,
    "resuming": resuming,
    "deploying": deploying,
    "durable": durable,
    "servers": servers,
    "operations": operations,
    "many": many,
    "reimporting": reimporting,
    "restarting": restarting,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}; default: all")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full size; 0.05 is a quick look")
    given = parser.parse_args()
    if unknown := set(given.rows) - ROWS.keys():
        parser.error(f"no row is called {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C, so that nothing of it stays
    print(asyncio.run(measure(given.rows or list(ROWS), Options(given.scale))))


async def measure(rows: list[str], options: Options) -> str:
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="iarnet-bench-") as folder:
        program = await load_program(Path(folder))
        for row in rows:
            print(f"{row} …  (load average {os.getloadavg()[0]:.1f})", flush=True)
            place = Path(folder) / row
            place.mkdir()
            began = time.monotonic()
            found = await ROWS[row](program, place, options)
            print(f"{table(found)}\n  {time.monotonic() - began:.0f} s", flush=True)  # a later row may fail
            figures += found
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.release()}, Python {platform.python_version()}"
    return f"\n{machine}, load average at the end {os.getloadavg()[0]:.1f}\n\n{table(figures)}"


if __name__ == "__main__":
    main()
