"""What many applications cost: time until Envoy has them all, time for one change among them, memory."""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from bench.options import Options
from bench.programs import LoadProgram
from bench.report import Figure, spread
from bench.world import service
from iarnet.gateway import process
from iarnet.gateway.resources import Resources, resources
from iarnet.gateway.xds import AdsServer
from iarnet.models.traffic import Backend, Endpoint, Route
from iarnet.providers.registry import LOCAL

APPS = 1000
MIB = 2**20
_CHANGES = 100
_WITHIN_S = 120.0
_PORT = 8080

Make = Callable[[int, int, Path], Resources]
"""Of the app of that number, in that revision, with the file that its requests are logged in."""


async def apps(program: LoadProgram, folder: Path, options: Options) -> list[Figure]:
    shapes = (("3 routes at 1 service", _with_routes), ("3 services", _with_services))
    return [figure for shape in shapes for figure in await _measured(folder, options, *shape)]


async def _measured(folder: Path, options: Options, what: str, make: Make) -> list[Figure]:
    count = options.of(APPS)
    where = process.place(folder / what.replace(" ", "-"))
    ads = AdsServer()
    await ads.start(where.ads)
    try:
        envoy = psutil.Process((await process.start(where, concurrency=os.cpu_count() or 1)).pid)
        await _put(ads, "nothing", {})
        empty = envoy.memory_info().rss
        began = time.perf_counter()
        made = [make(number, 1, where.access_log) for number in range(count)]
        built = time.perf_counter()
        await asyncio.gather(*(_put(ads, _app(number), one) for number, one in enumerate(made)))
        pushed = time.perf_counter()
        full, own = envoy.memory_info().rss, _own(envoy)
        changed = [(n, make(n, 2, where.access_log)) for n in range(0, count, max(1, count // _CHANGES))]
        changes = [await _change(ads, *one) for one in changed]
    finally:
        await ads.stop()
        await process.stop(where)
    return [
        Figure(
            f"{count:,} apps × {what}: push to an empty Envoy",
            f"{pushed - built:.2f} s, after {built - began:.2f} s to make it",
            "≤ 1 s",
            met=pushed - built <= 1,
        ),
        Figure(
            "… Envoy's resident memory",
            f"{_size(full)}, empty {_size(empty)}; of that {_size(own)} data, the rest its program",
            "≤ 150 MB",
            met=full <= 150e6,
        ),
        Figure("… one more change among them", spread(changes)),
    ]


def _size(count: int) -> str:
    return f"{count / 1e6:.0f} MB ({count / MIB:.0f} MiB)"


def _own(envoy: psutil.Process) -> int:
    """Bytes that are not pages of its program's file."""
    status = Path(f"/proc/{envoy.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("RssAnon")).split()[1]) * 1024


async def _change(ads: AdsServer, number: int, new: Resources) -> float:
    """Milliseconds until Envoy has it."""
    began = time.perf_counter()
    await _put(ads, _app(number), new)
    return (time.perf_counter() - began) * 1000


async def _put(ads: AdsServer, app: str, what: Resources) -> None:
    ads.put(app, what)
    await ads.settled(app, _WITHIN_S)


def _with_routes(number: int, revision: int, log: Path) -> Resources:
    """Each app has an address of its own, as on its own network."""
    app, address = _app(number), _address(number)
    served = [service(_PORT, app=app, address=address, component="api")]
    routes = [
        Route(id=f"{app}-{n}", app=app, component="api", path=f"/{n}", to=(Backend(component="api"),))
        for n in range(3)
    ]
    return resources(served, _endpoints(app, "api", revision), routes, publish_address="127.0.0.1", access_log=log)


def _with_services(number: int, revision: int, log: Path) -> Resources:
    app, address = _app(number), _address(number)
    names = ("api", "web", "admin")
    served = [service(_PORT + n, app=app, address=address, component=c) for n, c in enumerate(names)]
    endpoints = [e for component in names for e in _endpoints(app, component, revision)]
    return resources(served, endpoints, (), publish_address="127.0.0.1", access_log=log)


def _endpoints(app: str, component: str, revision: int) -> list[Endpoint]:
    return [
        Endpoint(
            app=app,
            component=component,
            instance=f"iarnet-{app}-{component}-r{revision}-{replica}",
            provider_id=LOCAL,
            revision=revision,
            address=f"127.2.{revision}.{replica + 1}",
        )
        for replica in range(2)
    ]


def _app(number: int) -> str:
    return f"app{number}"


def _address(number: int) -> str:
    return f"127.1.{number // 250}.{number % 250 + 1}"
