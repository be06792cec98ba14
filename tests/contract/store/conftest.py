"""Every test here runs on SQLite and on a real PostgreSQL."""

import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from iarnet.store.open import open_store
from iarnet.store.sql import SqlStore
from tests.contract.postgres import cluster, execute
from tests.contract.store.values import Watch


@pytest.fixture
def clock() -> Watch:
    return Watch()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    with cluster() as server:
        yield server


@pytest.fixture(scope="session")
def numbers() -> Iterator[int]:
    return itertools.count(1)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path, numbers: Iterator[int]) -> Iterator[str]:
    """An empty database of its own for each test."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/iarnet.db"
        return
    server: str = request.getfixturevalue("postgres")
    name = f"test{next(numbers)}"
    execute(server, f"CREATE DATABASE {name}")
    yield f"{server}/{name}"
    execute(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def store(url: str, clock: Watch) -> AsyncIterator[SqlStore]:
    store = await open_store(url, clock)
    yield store
    await store.aclose()
