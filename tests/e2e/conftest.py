from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.docker_engine import engine_url
from tests.e2e.harness import NodeProcess, node


@pytest.fixture(scope="session")
def docker_url() -> str:
    return engine_url()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, docker_url: str) -> Iterator[NodeProcess]:
    """One node for all tests of a file: each test uses apps of its own."""
    with node(tmp_path_factory.mktemp("node"), docker_url) as made:
        yield made


@pytest.fixture
def repositories(tmp_path: Path) -> Path:
    folder = tmp_path / "repositories"
    folder.mkdir()
    return folder
