from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from temporalio.client import Client
from temporalio.common import SearchAttributeKey
from temporalio.testing import WorkflowEnvironment

from workers.converter import CONVERTER
from workers.search_attributes import ATTRIBUTES
from workers.temporal_server import find


@pytest.fixture(scope="session")
async def client() -> AsyncIterator[Client]:
    """Of a Temporal without workers."""
    async with _temporal() as client:
        yield client


@pytest.fixture
async def alone() -> AsyncIterator[Client]:
    """Of a Temporal that no other test uses."""
    async with _temporal() as client:
        yield client


@pytest.fixture
async def renewing() -> AsyncIterator[Client]:
    """Of a Temporal that suggests at every step to continue as new."""
    async with _temporal("--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=1") as client:
        yield client


@asynccontextmanager
async def _temporal(*options: str) -> AsyncIterator[Client]:
    keyword, number = SearchAttributeKey.for_keyword, SearchAttributeKey.for_int
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=find(""),
        data_converter=CONVERTER,
        search_attributes=[number(name) if kind == "Int" else keyword(name) for name, kind in ATTRIBUTES.items()],
        dev_server_extra_args=options,
    ) as environment:
        yield environment.client
