"""How soon a node that was killed is at work again."""

import asyncio
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import docker

from bench.engine import engine_url
from bench.options import Options
from bench.programs import LoadProgram
from bench.report import Figure
from tests.e2e.busybox import application, component, worker
from tests.e2e.engine import at
from tests.e2e.harness import NodeProcess, node, until
from tests.e2e.reviving import taken_up

APP = "resumed"
WAITING = f"iarnet-{APP}-second-r1-0"
TIMES = 10
_GO = "sh -c 'while ! test -e /tmp/go; do sleep 0.1; done; exec httpd -f -p 8080 -h /tmp'"


async def resuming(program: LoadProgram, folder: Path, options: Options) -> list[Figure]:
    return await asyncio.to_thread(_resuming, folder, options)


def _resuming(folder: Path, options: Options) -> list[Figure]:
    """Killed while the second of two components waits to become healthy."""
    engine = docker.APIClient(base_url=engine_url(), version="auto")
    source = application(
        folder / "repository", worker("first"), component("second", _GO, kind="web", ports="[8080]", needs="[first]")
    )
    with node(folder / "node", engine_url()) as running:
        running.ok("deploy", source.url, "--name", APP, "--detach")
        until(lambda: running.instances(APP).get(WAITING), "the second one starts")
        before = running.containers(APP)
        seconds = [_killed(running) for _ in range(options.of(TIMES))]
        engine.exec_start(engine.exec_create(at(engine, WAITING), ["touch", "/tmp/go"])["Id"])
        until(lambda: running.api("GET", f"/api/v1/apps/{APP}").json()["status"] == "running", "it ends well")
        same = running.containers(APP) == before
    imported = statistics.median(_imported() for _ in range(options.of(TIMES)))
    return [
        Figure(
            f"the node killed during a deployment, {len(seconds)} times: the change goes on after",
            f"median {statistics.median(seconds):.2f} s, at most {max(seconds):.2f} s"
            + ("" if same else "; **containers have changed**"),
            "≤ 2 s",
            f"importing its program: {imported:.2f} s",
            met=max(seconds) <= 2 and same,
        )
    ]


def _killed(running: NodeProcess) -> float:
    running.kill()
    began = datetime.now(UTC)
    running.up()
    return taken_up(running, APP, began)


def _imported() -> float:
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", "import iarnet.cli.main, workers.node"], check=True)
    return time.monotonic() - began
