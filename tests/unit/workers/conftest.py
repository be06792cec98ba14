from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from iarnet.store.open import open_store
from iarnet.store.sql import SqlStore


def clock() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    opened = await open_store(f"sqlite:///{tmp_path}/iarnet.db", clock)
    yield opened
    await opened.aclose()
