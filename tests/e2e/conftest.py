import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.docker_engine import engine_url
from tests.e2e.forked import ForkedNode
from tests.e2e.harness import NodeProcess, node
from tests.e2e.topology import Topology, topology


@pytest.fixture(scope="session")
def docker_url() -> str:
    return engine_url()


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory, docker_url: str) -> Iterator[Topology | None]:
    """With IARNET_TEST_SERVERS=postgresql the tests run on Temporal and a store on PostgreSQL."""
    if os.environ.get("IARNET_TEST_SERVERS") != "postgresql":
        yield None
        return
    with topology(tmp_path_factory.mktemp("servers"), docker_url) as made:
        yield made


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory, docker_url: str, servers: Topology | None
) -> Iterator[NodeProcess]:
    """One node for all tests of a file: each test uses apps of its own."""
    settings = servers.of_one(f"t{secrets.token_hex(4)}") if servers else {}
    with node(tmp_path_factory.mktemp("node"), docker_url, kind=ForkedNode, **settings) as made:
        yield made


@pytest.fixture
def repositories(tmp_path: Path) -> Path:
    folder = tmp_path / "repositories"
    folder.mkdir()
    return folder
