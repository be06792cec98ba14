"""What is known of a commit is not found out again, and is not taken for known when it is gone."""

import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from temporalio.testing import ActivityEnvironment

from activities.analyzing import Analyzing
from activities.placing import always
from activities.recording import Recording
from iarnet.analysers.built_in import BuiltIn
from iarnet.analysis.engine import analyze
from iarnet.models.change import AnalyzeRequest
from iarnet.models.source import GitSource
from iarnet.sources.git import GitSources
from iarnet.store.open import open_store
from iarnet.store.sql import SqlStore
from tests.e2e.busybox import application, server
from tests.e2e.repository import Repository

APP = "shop"


def clock() -> datetime:
    return datetime.now(UTC)


async def unnamed(host: str) -> None:
    raise AssertionError(f"{host} is nobody's")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return application(tmp_path / "repository", server())


@pytest.fixture
def sources(tmp_path: Path) -> GitSources:
    return GitSources(tmp_path / "sources", allow_file=True)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    opened = await open_store(f"sqlite:///{tmp_path}/iarnet.db", clock)
    yield opened
    await opened.aclose()


async def test_a_commit_is_described_once_as_long_as_it_is_here(
    repository: Repository, sources: GitSources, tmp_path: Path
) -> None:
    git = GitSource(url=repository.url)
    commit = await sources.resolve(git)
    first = await sources.fetch(APP, git, commit)
    assert await sources.fetch(APP, git, commit) is first
    await sources.forget(APP)
    again = await sources.fetch(APP, git, commit)
    assert (again.tree, again.fetched_at > first.fetched_at) == (first.tree, True)
    shutil.rmtree(tmp_path / "sources" / f"{APP}.git")
    await sources.fetch(APP, git, commit)
    assert (await sources.tree(APP, first.tree)).read("iarnet.yaml")


async def test_what_is_in_a_commit_is_known_once_it_is_analysed(
    repository: Repository, sources: GitSources, store: SqlStore
) -> None:
    git = GitSource(url=repository.url)
    await store.apps.create(APP, git)
    recording = Recording(store, always("here"), "localhost", clock, unnamed)
    analyzing = Analyzing(store, BuiltIn(sources, analyze))
    run, newest = ActivityEnvironment().run, AnalyzeRequest(app=APP)
    assert await run(recording.analysed_commit, newest) == ""
    commit = await sources.resolve(git)
    await store.facts.save_source(await sources.fetch(APP, git, commit))
    assert await run(recording.analysed_commit, newest) == ""
    await run(analyzing.analyze_source, newest)
    assert await run(recording.analysed_commit, newest) == commit
    assert await run(recording.analysed_commit, AnalyzeRequest(app=APP, commit=commit)) == commit
    assert await run(recording.analysed_commit, AnalyzeRequest(app=APP, commit="0" * 40)) == ""
