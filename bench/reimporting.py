"""What it takes to find out that nothing has changed."""

import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from temporalio.testing import ActivityEnvironment

from activities.analyzing import Analyzing
from activities.sourcing import Sourcing
from bench.options import Options
from bench.programs import LoadProgram
from bench.report import Figure, spread
from bench.world import clock, secrets
from iarnet.analysers.built_in import BuiltIn
from iarnet.analysis.engine import analyze
from iarnet.builds.absent import AbsentBuilder
from iarnet.models.change import AnalyzeRequest, ImportRequest
from iarnet.models.source import GitSource
from iarnet.sources.git import GitSources
from iarnet.sources.process import run
from iarnet.store.open import open_store
from tests.e2e.repository import example

APP = "shop"
TIMES = 50


async def reimporting(program: LoadProgram, folder: Path, options: Options) -> list[Figure]:
    repository = example(APP, folder)
    async with _steps(folder, repository.url) as (sourcing, analyzing):
        first = await _both(sourcing, analyzing)
        ms, git = [], []
        for _ in range(options.of(TIMES)):
            ms.append(await _both(sourcing, analyzing))
            began = time.perf_counter()
            await run(["git", "ls-remote", repository.url, "HEAD"], env={})
            git.append(1000 * (time.perf_counter() - began))
    return [
        Figure(
            f"`examples/{APP}` imported and analysed again, nothing changed, {len(ms)} times",
            f"{spread(ms)}; the first time {first:.0f} ms",
            "≤ 20 ms",
            f"`git ls-remote` alone: {statistics.median(git):.1f} ms",
            met=statistics.median(ms) <= 20,
        )
    ]


@asynccontextmanager
async def _steps(folder: Path, url: str) -> AsyncIterator[tuple[Sourcing, Analyzing]]:
    """The activities of a deployment, as a node has them."""
    store = await open_store(f"sqlite:///{folder}/iarnet.db", clock)
    try:
        await store.apps.create(APP, GitSource(url=url))
        sources = GitSources(folder / "workspaces", allow_file=True)
        yield (
            Sourcing(store, sources, secrets(), AbsentBuilder(), clock),
            Analyzing(store, BuiltIn(sources, analyze)),
        )
    finally:
        await store.aclose()


async def _both(sourcing: Sourcing, analyzing: Analyzing) -> float:
    """Milliseconds."""
    environment = ActivityEnvironment()
    began = time.perf_counter()
    imported = await environment.run(sourcing.import_source, ImportRequest(app=APP))
    await environment.run(analyzing.analyze_source, AnalyzeRequest(app=APP, commit=imported.commit))
    return 1000 * (time.perf_counter() - began)
