"""Every component of the shop replaced on a real engine, by a real node, while users and neighbours are at work."""

import asyncio
import json
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import docker

from bench.engine import engine_url
from bench.options import Options
from bench.programs import Asking, LoadProgram
from bench.report import Figure
from tests.e2e.harness import NodeProcess, node
from tests.e2e.repository import example

STREAMS = Path(__file__).parent / "streams"
APP = "shop"
PER_S = {"/api/products": 180, "/api/orders": 20}
COMPONENTS = ("redis", "postgres", "worker", "api", "web", "sockets", "calls")
_AT_MOST_S = 900
_SETTLES_S = 5.0
_SHOWN = 5


@dataclass(frozen=True)
class Told:
    """What `streams/client.py` has told last: counts by kind, and the first of what was broken."""

    done: dict[str, int]
    broken: dict[str, int]
    first: list[str]


async def replacing(program: LoadProgram, folder: Path, options: Options) -> list[Figure]:
    """One component after the other, then all of them in one change: a changed setting replaces what has it."""
    url = engine_url()
    engine = docker.APIClient(base_url=url, version="auto")
    with node(folder / "node", url) as running:
        await asyncio.to_thread(_deploy, running, folder)
        web, sockets, calls = (urlsplit(running.address(APP, c)).netloc for c in ("web", "sockets", "calls"))
        async with AsyncExitStack() as stack:
            outside = await stack.enter_async_context(_outside(engine, f"ws://{sockets}/", f"grpc://{calls}"))
            users = [await stack.enter_async_context(_users(program, web, path)) for path in PER_S]
            await asyncio.sleep(_SETTLES_S)
            before = running.containers(APP)
            took = await _replace(running, options)
            after = running.containers(APP)
            await asyncio.sleep(_SETTLES_S)
            asked = [await each.stop() for each in users]
            from_outside, from_inside = _told(engine, outside), _told(engine, next(iter(after["inside"])))
    stayed = [c for c in COMPONENTS if before[c] & after[c]]
    failures = [f"{f['problem']}" for each in asked for f in each.failures]
    for line in (*failures[:_SHOWN], *from_outside.first, *from_inside.first):
        options.say(line)
    options.say(", ".join(f"{what}: {s:.1f} s" for what, s in took.items()))
    return [
        Figure(
            "every component of the shop replaced, each alone, then all at once, under"
            f" {sum(PER_S.values())} requests/s to web, which needs all the others: failed requests",
            f"{len(failures)} of {sum(each.asked for each in asked):,} from outside,"
            f" {from_inside.broken['http']} of {from_inside.done['http']:,} between components"
            + (f"; not replaced: {', '.join(stayed)}" if stayed else ""),
            "0",
            met=not failures and not from_inside.broken["http"] and not stayed,
        ),
        Figure(
            "… WebSocket and gRPC streams of 3 s, 5 of each open on either side: broken",
            f"{_streams(from_outside)} from outside, {_streams(from_inside)} between components",
            "0 within the drain time of 10 s",
            met=not any(told.broken[kind] for told in (from_outside, from_inside) for kind in ("ws", "grpc")),
        ),
    ]


def _deploy(running: NodeProcess, folder: Path) -> None:
    repository = example("shop", folder)
    shutil.copytree(STREAMS, repository.path / "streams", ignore=shutil.ignore_patterns("__pycache__", "*.yaml"))
    shutil.copy(STREAMS / "iarnet.yaml", repository.path)
    repository.commit()
    running.ok("deploy", repository.url, "--name", APP)


async def _replace(running: NodeProcess, options: Options) -> dict[str, float]:
    """Seconds for each change."""
    took = {}
    for round, some in enumerate([*((c,) for c in COMPONENTS), COMPONENTS]):
        settings = [f"--set={component}.env.ROUND={round}" for component in some]
        began = time.monotonic()
        await asyncio.to_thread(running.ok, "deploy", APP, *settings)
        took[some[0] if len(some) == 1 else "all"] = time.monotonic() - began
    return took


@asynccontextmanager
async def _users(program: LoadProgram, web: str, path: str) -> AsyncIterator[Asking]:
    async with program.asking(web, path=path, rate=PER_S[path], connections=20, seconds=_AT_MOST_S) as asking:
        yield asking


@asynccontextmanager
async def _outside(engine: docker.APIClient, *addresses: str) -> AsyncIterator[str]:
    """The ID of a container that is no part of the app, in the host's network."""
    image = next(
        c["Image"]
        for c in engine.containers(filters={"label": f"iarnet.app={APP}"})
        if c["Labels"]["iarnet.component"] == "calls"
    )
    config = engine.create_host_config(network_mode="host")
    made = engine.create_container(image, ["python", "client.py", *addresses], entrypoint=[], host_config=config)
    try:
        engine.start(made["Id"])
        yield str(made["Id"])
    finally:
        engine.remove_container(made["Id"], force=True)


def _told(engine: docker.APIClient, container: str) -> Told:
    lines = engine.logs(container, tail=3).decode().splitlines()
    return Told(**json.loads(next(line for line in reversed(lines) if line.startswith("{"))))


def _streams(told: Told) -> str:
    return " and ".join(
        f"{told.broken[kind]} of {told.done[kind] + told.broken[kind]} {name}"
        for kind, name in (("ws", "WebSocket"), ("grpc", "gRPC"))
    )
