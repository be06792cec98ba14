"""A made repository of 80,000 files: how long its first analysis takes, and the next one of the same tree."""

import asyncio
import resource
import subprocess
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from temporalio.testing import ActivityEnvironment

from activities.analyzing import Analyzing
from bench.report import Figure
from iarnet.analysers.built_in import BuiltIn
from iarnet.analysis.engine import analyze
from iarnet.models.change import AnalyzeRequest
from iarnet.models.source import GitSource
from iarnet.sources.git import GitSources
from iarnet.store.open import open_store

FILES = 80_000
ROUNDS = 5
_SERVICES = 8


def large() -> list[Figure]:
    """As a node does it: from its object store into its database. CPU time, git's included; the best of several."""
    with tempfile.TemporaryDirectory(prefix="iarnet-bench-") as folder:
        return asyncio.run(_measured(Path(folder)))


async def _measured(folder: Path) -> list[Figure]:
    await asyncio.to_thread(_make, folder / "made.git")
    sources = GitSources(folder / "sources", allow_file=True)
    store = await open_store(f"sqlite:///{folder}/iarnet.db", lambda: datetime.now(UTC))
    try:
        git = GitSource(url=f"file://{folder}/made.git", ref="main")
        commit = await sources.resolve(git)
        first, again = [], []
        for number in range(ROUNDS):
            app = f"large{number}"
            await store.apps.create(app, git)
            await store.facts.save_source(await sources.fetch(app, git, commit))
            first.append(await _analyzed(Analyzing(store, BuiltIn(sources, analyze)), app))
            again.append(await _analyzed(Analyzing(store, BuiltIn(sources, analyze)), app))
    finally:
        await store.aclose()
    return [
        _figure(f"a repository of {FILES:,} files, first time", min(first), 0.3),
        _figure("… and when it is unchanged", min(again), 0.02),
    ]


async def _analyzed(analyzing: Analyzing, app: str) -> float:
    began = _cpu_s()
    await ActivityEnvironment().run(analyzing.analyze_source, AnalyzeRequest(app=app))
    return _cpu_s() - began


def _figure(measure: str, found_s: float, goal_s: float) -> Figure:
    return Figure(measure, f"{found_s * 1000:.0f} ms", f"≤ {goal_s * 1000:.0f} ms", met=found_s <= goal_s)


def _cpu_s() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _make(repository: Path) -> None:
    """A workspace of services beside many packages, of a folder for every twenty files."""
    subprocess.run(["git", "init", "-q", "--bare", str(repository)], check=True)
    argv = ["git", "-C", str(repository), "fast-import", "--quiet"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE) as importing:
        assert importing.stdin
        importing.stdin.write(b"commit refs/heads/main\ncommitter a <a@example.org> 1700000000 +0000\ndata 1\nx\n")
        for path, text in _files():
            content = text.encode()
            importing.stdin.write(f"M 100644 inline {path}\ndata {len(content)}\n".encode() + content + b"\n")
    if importing.returncode:
        raise RuntimeError(f"git fast-import ended with {importing.returncode}")


def _files() -> Iterator[tuple[str, str]]:
    yield "package.json", '{"private": true, "workspaces": ["services/*", "packages/*"]}'
    for n in range(_SERVICES):
        package = f'{{"name": "s{n}", "scripts": {{"start": "node server.js"}}, "dependencies": {{"express": "4"}}}}'
        yield f"services/s{n}/package.json", package
        yield f"services/s{n}/server.js", f"require('express')().listen(process.env.PORT || 30{n:02})\n"
    for n in range(FILES - 2 * _SERVICES - 1):
        text = f"export const value{n} = {n};\nexport const get{n} = () => fetch('/api/' + value{n});\n" * 3
        yield f"packages/p{n % 400}/src/part{n // 400 % 10}/module{n}.ts", text
