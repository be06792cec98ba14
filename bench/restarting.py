"""An instance that dies, until it serves again: mended by us, and by the engine's own restart policy."""

import asyncio
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import docker
import httpx

from bench.engine import engine_url
from bench.options import Options
from bench.programs import LoadProgram
from bench.report import Figure
from bench.world import free_port
from tests.contract.docker_engine import IMAGE
from tests.e2e.busybox import SERVE, application, server
from tests.e2e.engine import at
from tests.e2e.harness import node, until

APP = "mended"
TIMES = 10
_KILL = ["sh", "-c", "cat /proc/uptime; kill -9 -1"]
"""As a crash: what is ended through the engine's API, its restart policy leaves alone. It says when: until a command
runs in a container, an engine needs a tenth of a second."""
_WITHIN_S = 60.0


async def restarting(program: LoadProgram, folder: Path, options: Options) -> list[Figure]:
    return await asyncio.to_thread(_restarting, folder, options)


def _restarting(folder: Path, options: Options) -> list[Figure]:
    """In turns, each instance once: whoever dies again waits longer, with us as with the engine."""
    engine = docker.APIClient(base_url=engine_url(), version="auto")
    names = [f"web{n}" for n in range(options.of(TIMES))]
    source = application(folder / "repository", *(server(name) for name in names))
    ours, theirs, starts = [], [], []
    with node(folder / "node", engine_url()) as running, _network(engine) as network:
        running.ok("deploy", source.url, "--name", APP)
        addresses = running.api("GET", f"/api/v1/apps/{APP}").json()["addresses"]
        for name in names:
            _serves(addresses[name], _uptime_s())
            ours.append(_killed(engine, at(engine, f"iarnet-{APP}-{name}-r1-0"), addresses[name]))
            with _alone(engine, network) as (container, address):
                began = _uptime_s()
                engine.start(container)
                starts.append(_serves(address, began))
                theirs.append(_killed(engine, container, address))
        until(lambda: running.api("GET", f"/api/v1/apps/{APP}").json()["status"] == "running", "it is well")
    engine.close()
    start = statistics.median(starts)
    over = statistics.median(ours) - start
    return [
        Figure(
            f"a container killed → serving again, over its own start time ({start:.2f} s), {len(ours)} times",
            f"median {over:.2f} s, at most {max(ours) - start:.2f} s",
            "≤ 0.5 s",
            f"Docker's own restart policy: median {statistics.median(theirs) - start:.2f} s",
            met=over <= 0.5,
        )
    ]


def _killed(engine: docker.APIClient, container: str, address: str) -> float:
    said = engine.exec_start(engine.exec_create(container, _KILL)["Id"])
    return _serves(address, float(said.split()[0]))


def _uptime_s() -> float:
    """Of the machine, as a container on it sees it, too."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _serves(address: str, since: float) -> float:
    """Seconds from then, in uptime, until a request is answered."""
    while _uptime_s() < since + _WITHIN_S:
        with suppress(httpx.HTTPError):
            if httpx.get(address, timeout=_WITHIN_S).status_code == 200:
                return _uptime_s() - since
        time.sleep(0.005)
    raise AssertionError(f"{address} does not answer within {_WITHIN_S:g} s")


@contextmanager
def _network(engine: docker.APIClient) -> Iterator[str]:
    made = engine.create_network("iarnet-bench-restarting", "bridge")["Id"]
    try:
        yield made
    finally:
        engine.remove_network(made)


@contextmanager
def _alone(engine: docker.APIClient, network: str) -> Iterator[tuple[str, str]]:
    """The same program, made by the engine's API and not started yet; and where it is to answer."""
    port = free_port()
    host = engine.create_host_config(
        mem_limit="16m",
        init=True,
        network_mode=network,
        restart_policy={"Name": "always"},
        port_bindings={8080: ("127.0.0.1", port)},
    )
    command = ["sh", "-c", SERVE.removeprefix("sh -c '").removesuffix("'")]
    made = engine.create_container(IMAGE, command, ports=[8080], host_config=host)["Id"]
    try:
        yield made, f"http://127.0.0.1:{port}/"
    finally:
        engine.remove_container(made, force=True, v=True)
