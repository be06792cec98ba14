"""What is killed under load, always with SIGKILL: an instance, Envoy, the node."""

import asyncio
import statistics
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from bench.options import Options
from bench.programs import Exchange, LoadProgram, ended, exchanges
from bench.report import Figure
from bench.world import APP, COMPONENT, World, answers, envoy, free_port, service, stored, world
from iarnet.gateway import process
from iarnet.models.traffic import Endpoint
from iarnet.providers.registry import LOCAL

RATE = 2000
ANSWER_MS = 5
_ADDRESSES = ("127.0.0.2", "127.0.0.3")
_LOOK_S = 0.005


@dataclass(frozen=True)
class Death:
    """Milliseconds are counted from when the process had ended. `late`: failed requests that were sent after that."""

    failed: int
    late: int
    out_ms: float
    tried_ms: float


async def instance_killed(program: LoadProgram, folder: Path, options: Options) -> list[Figure]:
    """One of two. First Envoy is on its own; then a node suspends it as soon as its engine says that it died."""
    async with world(folder) as made:
        alone = [await _die(program, folder, made, told=False) for _ in range(options.rounds)]
        told = [await _die(program, folder, made, told=True) for _ in range(options.rounds)]
    figures = []
    for how, deaths in (("Envoy alone", alone), ("the node is told at once", told)):
        out = [death.out_ms for death in deaths]
        late = sum(death.late for death in deaths)
        options.say(f"{how}: {deaths}")
        figures.append(
            Figure(
                f"an instance killed under {RATE:,} requests/s of {ANSWER_MS} ms ({how}): out of rotation after",
                f"{statistics.median(out):.0f} ms, at most {max(out):.0f} ms; last tried after"
                f" {max(death.tried_ms for death in deaths):.0f} ms;"
                f" failed: {[death.failed for death in deaths]} in flight, {late} later",
                "≤ 200 ms; only requests in flight fail",
                met=max(out) <= 200 and not late,
            )
        )
    return figures


async def _die(program: LoadProgram, folder: Path, made: World, *, told: bool) -> Death:
    log = folder / "exchanges"
    async with AsyncExitStack() as stack:
        doomed, *_ = [
            await stack.enter_async_context(program.serving(made.at(a), after_ms=ANSWER_MS)) for a in _ADDRESSES
        ]
        await made.admit(*_ADDRESSES)
        admin = httpx.AsyncHTTPTransport(uds=str(made.where.admin))
        http = await stack.enter_async_context(httpx.AsyncClient(transport=admin))
        await _host(http, _ADDRESSES[0])
        asking = asyncio.create_task(program.ask(made.to, seconds=4, rate=RATE, log=str(log)))
        await asyncio.sleep(1.5)
        doomed.kill()
        await doomed.wait()
        died = time.time_ns()
        watching = asyncio.create_task(_watch(http, _ADDRESSES[0], died))
        if told:
            await made.gateway.suspend(_ADDRESSES[0])
        asked = await asking
        out_ms, tried_ms = await watching
    failed = [e for e in exchanges(log, asked.answers) if not e.by]
    return Death(len(failed), sum(e.sent > died for e in failed), out_ms, tried_ms)


async def _watch(http: httpx.AsyncClient, address: str, died: int) -> tuple[float, float]:
    """Milliseconds until Envoy counts it as unhealthy, and until it first stops trying to connect for 300 ms."""
    out_ms, tried_ms, tries = 0.0, 0.0, -1
    now = 0.0
    while now < 1000:
        host = await _host(http, address)
        now = (time.time_ns() - died) / 1e6
        health = dict(host["health_status"])
        counted = {stat["name"]: int(stat.get("value", 0)) for stat in host["stats"]}
        if not out_ms and (health.pop("eds_health_status") != "HEALTHY" or any(health.values())):
            out_ms = now
        if counted["cx_total"] != tries and now - tried_ms < 300:
            tries, tried_ms = counted["cx_total"], now
        await asyncio.sleep(_LOOK_S)
    return out_ms or now, tried_ms


async def _host(http: httpx.AsyncClient, address: str) -> dict[str, Any]:
    answer = await http.get("http://envoy/clusters", params={"format": "json", "filter": f"^{APP}/"})
    hosts = (host for cluster in answer.json()["cluster_statuses"] for host in cluster["host_statuses"])
    return next(host for host in hosts if host.get("hostname") == address)


async def envoy_killed(program: LoadProgram, folder: Path, options: Options) -> list[Figure]:
    async with _served(program, folder) as (to, place), _node(folder):
        await answers(f"http://{to}/")
        outages = [await _outage(program, folder, to, place) for _ in range(options.rounds)]
    options.say(f"away for {[f'{away:.0f} ms, {failed} failed' for away, failed in outages]}")
    away = [each for each, _ in outages]
    return [
        Figure(
            f"Envoy killed under {RATE:,} requests/s: away for",
            f"{statistics.median(away):.0f} ms, at most {max(away):.0f} ms;"
            f" {statistics.median(failed for _, failed in outages):.0f} failed meanwhile; every instance as before",
            "≤ 1 s; no instance touched",
            met=max(away) <= 1000,
        )
    ]


async def _outage(program: LoadProgram, folder: Path, to: str, place: process.Place) -> tuple[float, int]:
    """Milliseconds from the end of Envoy to the first good answer by the next one, and what failed."""
    log = folder / "exchanges"
    asking = asyncio.create_task(program.ask(to, seconds=5, rate=RATE, log=str(log)))
    await asyncio.sleep(1.5)
    envoy(place).kill()
    killed = time.time_ns()
    asked = await asking
    seen = exchanges(log, asked.answers)
    return (_back(seen, killed) - killed) / 1e6, asked.failed


def _back(seen: list[Exchange], killed: int) -> int:
    """Answers that were on their way when it died are not its successor's."""
    refused = min(e.ended for e in seen if not e.by and e.sent > killed)
    return min((e.ended for e in seen if e.by and e.sent > refused), default=seen[-1].ended)


async def node_killed(program: LoadProgram, folder: Path, options: Options) -> list[Figure]:
    async with _served(program, folder) as (to, place):
        seconds = max(6.0, 20 * options.scale)
        async with _node(folder) as node:
            await answers(f"http://{to}/")
            leading = envoy(place)
            asking = asyncio.create_task(program.ask(to, seconds=seconds, rate=RATE))
            await asyncio.sleep(seconds / 3)
            node.kill()
            await node.wait()
        await asyncio.sleep(seconds / 3)
        async with _node(folder):
            asked = await asking
            adopted = envoy(place) == leading
    return [
        Figure(
            f"the node killed under {RATE:,} requests/s, and another one started",
            f"{asked.failed} of {asked.asked:,} failed; its Envoy was {'adopted' if adopted else 'replaced'}",
            "traffic goes on",
            met=adopted and not asked.failed,
        )
    ]


@asynccontextmanager
async def _served(program: LoadProgram, folder: Path) -> AsyncIterator[tuple[str, process.Place]]:
    """An application with two instances, as a node finds it recorded, and where its Envoy is to be."""
    port, host_port = free_port(), free_port()
    place = process.place(folder / "gateway")
    async with program.serving(*(f"{a}={a}:{port}" for a in _ADDRESSES), after_ms=ANSWER_MS) as instances:
        async with stored(folder) as store:
            await store.traffic.serve(APP, LOCAL, [service(port, host_port)])
            for address in _ADDRESSES:
                await store.traffic.put_endpoint(_endpoint(address))
        try:
            yield f"127.0.0.1:{host_port}", place
        finally:
            await process.stop(place)
        assert instances.returncode is None


@asynccontextmanager
async def _node(folder: Path) -> AsyncIterator[Process]:
    """Its gateway is up."""
    argv = [sys.executable, "-m", "bench.node", str(folder)]
    running = await asyncio.create_subprocess_exec(*argv, stdout=PIPE, start_new_session=True)
    try:
        assert running.stdout
        if not await running.stdout.readline():
            raise SystemExit("The node did not start; what it said is above.")
        yield running
    finally:
        await ended(running)


def _endpoint(address: str) -> Endpoint:
    return Endpoint(app=APP, component=COMPONENT, instance=address, provider_id=LOCAL, revision=1, address=address)
