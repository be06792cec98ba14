"""Every test here runs on SQLite and on a real PostgreSQL."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from iarnet.store.open import open_store
from iarnet.store.sql import SqlStore
from tests.contract.postgres import cluster, empty
from tests.contract.store.values import Watch


@pytest.fixture
def clock() -> Watch:
    return Watch()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    with cluster() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database for each test."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/iarnet.db"
    server: str = request.getfixturevalue("postgres")
    empty(server)
    return f"{server}/postgres"


@pytest.fixture
async def store(url: str, clock: Watch) -> AsyncIterator[SqlStore]:
    store = await open_store(url, clock)
    yield store
    await store.aclose()
