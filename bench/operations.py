"""Component operations a second: two workers and an API that share Temporal and the store, both on PostgreSQL."""

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil
from temporalio.testing import WorkflowEnvironment

from bench.options import Options
from bench.programs import LoadProgram
from bench.report import Figure
from bench.world import cpu_s
from bench.yardstick import in_sequence, working
from chaos.node import up
from chaos.servers import ForkedApi, ForkedWorker
from iarnet.config import Settings
from iarnet.providers.memory import MemoryProvider
from tests.e2e.busybox import SERVE, application, component
from tests.e2e.topology import topology
from workers.temporal_server import find

APPS, COMPONENTS = 20, 20
UNTUNED = 200
_AT_ONCE = 10


async def operations(program: LoadProgram, folder: Path, options: Options) -> list[Figure]:
    apps, components = options.of(APPS), options.of(COMPONENTS)
    done, seconds, shares = await asyncio.to_thread(_operations, folder, apps, components)
    untuned = await _untuned(options.of(UNTUNED))
    rate = done / seconds
    return [
        Figure(
            f"component operations a second, two workers, {apps} applications of {components} components deployed"
            f" and stopped, {_AT_ONCE} at once",
            f"{rate:.0f}/s; of the machine's {psutil.cpu_count()} cores {shares}",
            "≥ 300/s",
            f"workflows of one activity a second, Temporal as it comes: {untuned:.0f}/s",
            met=rate >= 300,
        )
    ]


def worker() -> None:
    """Its provider is in its own process, so that only ours and the servers' work is left."""
    up("worker", own)


def own(settings: Settings) -> MemoryProvider:
    return MemoryProvider(f"memory-{settings.node_name}", home=settings.node_name)


def _operations(folder: Path, apps: int, components: int) -> tuple[int, float, str]:
    """How many there were, in how many seconds, and who used the machine meanwhile."""
    described = [component(f"c{n}", SERVE, kind="web", ports="[8080]", publish="false") for n in range(components)]
    url = application(folder / "repository", *described).url
    with _shared(folder) as (workers, api):

        def finished(path: str, body: dict[str, object]) -> None:
            progress = api.finished(api.api("POST", path, body))
            assert progress["status"] == "succeeded", progress

        def changed(number: int) -> None:
            finished(f"/api/v1/apps/app{number}/deploy", {})  # to whichever of the two, which fetches it
            finished(f"/api/v1/apps/app{number}/stop", {})

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(lambda n: finished("/api/v1/apps", {"url": url, "name": f"app{n}"}), range(apps)))
            before, began = _used((*workers, api)), time.monotonic()
            list(pool.map(changed, range(apps)))
            seconds = time.monotonic() - began
        shares = {name: (used - before[name]) / seconds for name, used in _used((*workers, api)).items()}
    return 2 * apps * components, seconds, ", ".join(f"{name} {share:.2f}" for name, share in shares.items())


@contextmanager
def _shared(folder: Path) -> Iterator[tuple[list[ForkedWorker], ForkedApi]]:
    with topology(folder, "none") as made:
        extra = {**made.shared, "IARNET_GATEWAY__ENABLED": "false"}
        workers = [ForkedWorker(folder / name, "none", extra=extra, run=worker) for name in ("one", "other")]
        api = ForkedApi(folder / "api", "none", extra=extra)
        try:
            for process in (*workers, api):
                process.up()
            yield workers, api
        finally:
            for process in (api, *workers):
                process.end()


def _used(ours: tuple[ForkedWorker | ForkedApi, ...]) -> dict[str, float]:
    """Seconds of CPU."""
    pids = {
        "API" if isinstance(each, ForkedApi) else each.directory.name: each.process.pid
        for each in ours
        if each.process
    }
    found = {name: cpu_s(psutil.Process(pid)) for name, pid in pids.items()}
    children = psutil.Process().children(recursive=True)
    for name in ("temporal-server", "postgres"):
        found[name] = sum(cpu_s(each) for each in children if each.name() == name)
    return found


async def _untuned(count: int) -> float:
    """Workflows a second, as many as are asked for at once."""
    async with await WorkflowEnvironment.start_local(dev_server_existing_path=find("")) as bare, working(bare.client):
        began = time.monotonic()
        await asyncio.gather(*(in_sequence(bare.client, 1) for _ in range(count)))
        return count / (time.monotonic() - began)
