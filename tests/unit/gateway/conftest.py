"""A real Envoy, and instances for it on loopback addresses."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.unit.gateway.file_envoy import FileEnvoy
from tests.unit.gateway.instances import Run


@pytest.fixture
async def envoy(tmp_path: Path) -> AsyncIterator[FileEnvoy]:
    found = FileEnvoy(tmp_path)
    yield found
    await found.stop()


@pytest.fixture
async def run() -> AsyncIterator[Run]:
    """Starts an instance that ends with the test."""
    async with AsyncExitStack() as ended:
        yield Run(ended)
