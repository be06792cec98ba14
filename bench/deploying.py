"""A whole application brought up: by us, by the engine's own API in the best order, and by docker-compose."""

import asyncio
import shutil
import socket
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import docker

from bench.engine import engine_url
from bench.options import Options
from bench.programs import LoadProgram
from bench.report import Figure
from tests.contract.docker_engine import IMAGE
from tests.e2e.busybox import SERVE, application, component
from tests.e2e.harness import NodeProcess, node

APP = "ladder"
DEPTH = 4
TIMES = 10
PARALLEL = (2, 4, 8)
_READY_S = 30.0

Graph = dict[str, tuple[str, ...]]


def ladder(count: int) -> Graph:
    """Components in `DEPTH` layers, each of which needs two of the layer before."""
    width = count // DEPTH
    name = "c{}-{}".format
    return {
        name(layer, i): tuple(sorted({name(layer - 1, i), name(layer - 1, (i + 1) % width)})) if layer else ()
        for layer in range(DEPTH)
        for i in range(width)
    }


async def deploying(program: LoadProgram, folder: Path, options: Options) -> list[Figure]:
    return await asyncio.to_thread(_deploying, folder, options)


def _deploying(folder: Path, options: Options) -> list[Figure]:
    """In turns, so that what else happens on the machine meets all of them."""
    small, large = ladder(max(DEPTH, options.of(20))), ladder(max(DEPTH, options.of(100)))
    figures = []
    with node(folder / "node", engine_url()) as running:
        for graph, times, goal in ((small, TIMES, 1.10), (large, 3, 1.05)):
            figures += _compared(running, graph, folder / f"of-{len(graph)}", options.of(times), goal)
    return figures


def _compared(running: NodeProcess, graph: Graph, folder: Path, times: int, goal: float) -> list[Figure]:
    app = f"{APP}{len(graph)}"
    running.ok("import", application(folder / "ours", *_described(graph)).url, "--name", app)
    ways: dict[str, Callable[[], float]] = {"ours": lambda: _ours(running, app)}
    ways |= {f"oracle, {n} at once": lambda n=n: _oracle(graph, n) for n in PARALLEL}  # type: ignore[misc]
    if with_compose := shutil.which("docker-compose") is not None and len(graph) <= 20:
        ways["compose"] = lambda: _compose(graph, folder)
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    _ours(running, app)  # the first plans, and finds out what images are
    for _ in range(times):
        for way, bring_up in ways.items():
            seconds[way].append(bring_up())
    running.finished(running.api("DELETE", f"/api/v1/apps/{app}?keep_data=false"))
    middle = {way: statistics.median(found) for way, found in seconds.items()}
    best = min((way for way in ways if way.startswith("oracle")), key=lambda way: middle[way])
    ratio = middle["ours"] / middle[best]
    what = f"{len(graph)} components, depth {DEPTH}, from the request until all are healthy, median of {times}"
    figures = [
        Figure(
            what,
            f"{middle['ours']:.2f} s, {ratio:.2f}×",
            f"≤ {goal:.2f}×",
            f"the engine's API alone, {best}: {middle[best]:.2f} s",
            met=ratio <= goal,
        )
    ]
    if with_compose:
        faster = middle["compose"] / middle["ours"]
        figures.append(
            Figure(
                what,
                f"{middle['ours']:.2f} s, {faster:.2f}× as fast",
                "≥ 2× as fast",
                f"docker-compose up -d with health conditions: {middle['compose']:.2f} s",
                met=faster >= 2,
            )
        )
    return figures


def _described(graph: Graph) -> list[tuple[str, str]]:
    return [
        component(name, SERVE, kind="web", ports="[8080]", publish="false", needs=f"[{', '.join(needs)}]")
        for name, needs in graph.items()
    ]


def _ours(running: NodeProcess, app: str) -> float:
    began = time.monotonic()
    progress = running.finished(running.api("POST", f"/api/v1/apps/{app}/deploy", {}))
    seconds = time.monotonic() - began
    assert progress["status"] == "succeeded", progress
    running.finished(running.api("POST", f"/api/v1/apps/{app}/stop", {}))
    return seconds


def _oracle(graph: Graph, at_once: int) -> float:
    """Each container is made and started as soon as those that it needs answer on their port."""
    client = docker.APIClient(base_url=engine_url(), version="auto")
    with _swept(client, f"oracle-{len(graph)}") as label, ThreadPoolExecutor(at_once) as pool:
        began = time.monotonic()
        client.create_network(label, "bridge", labels={label: ""})
        ready: dict[str, Future[None]] = {}
        waiting = dict(graph)
        while waiting or not all(each.done() for each in ready.values()):
            for name in [n for n, needs in waiting.items() if all(m in ready and ready[m].done() for m in needs)]:
                del waiting[name]
                ready[name] = pool.submit(_started, client, label, name)
            time.sleep(0.001)
        for each in ready.values():
            each.result()
        return time.monotonic() - began


def _started(client: docker.APIClient, label: str, name: str) -> None:
    aliases = {label: client.create_endpoint_config(aliases=[name])}
    made = client.create_container(
        IMAGE,
        ["sh", "-c", SERVE.removeprefix("sh -c '").removesuffix("'")],
        labels={label: ""},
        host_config=client.create_host_config(network_mode=label, mem_limit="16m", init=True),
        networking_config=client.create_networking_config(aliases),  # type: ignore[arg-type]
    )["Id"]
    client.start(made)
    (there,) = client.inspect_container(made)["NetworkSettings"]["Networks"].values()
    deadline = time.monotonic() + _READY_S
    while True:
        try:
            socket.create_connection((there["IPAddress"], 8080), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)


def _compose(graph: Graph, folder: Path) -> float:
    file = folder / "docker-compose.yml"
    file.write_text(_compose_file(graph))
    argv = ["docker-compose", "--host", engine_url(), "-p", "iarnetbench", "-f", str(file)]
    try:
        began = time.monotonic()
        subprocess.run([*argv, "up", "-d"], check=True, capture_output=True)
        # It returns when the last layer is started; ours, when it is healthy.
        return time.monotonic() - began
    finally:
        subprocess.run([*argv, "down", "-t", "1"], check=True, capture_output=True)


def _compose_file(graph: Graph) -> str:
    common = [f"    image: {IMAGE}", f"    command: {SERVE}", "    init: true", "    mem_limit: 16m"]
    lines = ["services:"]
    for name, needs in graph.items():
        lines += [f"  {name}:", *common]
        lines += ["    healthcheck: {test: wget -q -O /dev/null http://127.0.0.1:8080/, interval: 1s, retries: 9}"]
        if needs:
            lines += ["    depends_on:", *(f"      {each}: {{condition: service_healthy}}" for each in needs)]
    return "\n".join(lines) + "\n"


@contextmanager
def _swept(client: docker.APIClient, label: str) -> Iterator[str]:
    try:
        yield label
    finally:
        for each in client.containers(all=True, filters={"label": label}):
            client.remove_container(each["Id"], force=True, v=True)
        for each in client.networks(filters={"label": label}):
            client.remove_network(each["Id"])
        client.close()
