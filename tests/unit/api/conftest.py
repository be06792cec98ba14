"""A whole API on a real store, with nothing behind its Temporal address."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from temporalio.client import Client

from api.app import create_app
from api.deps import Services
from iarnet.errors import InvalidInput, NotFound
from iarnet.models.change import ReplayReport
from iarnet.models.provider import ProviderHealth, ProviderRegistration
from iarnet.providers.base import Provider
from iarnet.providers.memory import MemoryProvider
from iarnet.secrets.sealed import MemoryRows, SealedSecrets
from iarnet.store.open import open_store

TOKEN = "correct-horse"
BASE = "http://127.0.0.1:8083"


class OneProvider:
    """The providers of a node that has one."""

    def __init__(self, provider: MemoryProvider) -> None:
        self.memory = provider

    def get(self, provider_id: str) -> Provider:
        if provider_id != self.memory.info.id:
            raise NotFound(f"there is no provider {provider_id}")
        return self.memory

    def all(self) -> list[Provider]:
        return [self.memory]


async def refuse(registration: ProviderRegistration) -> ProviderHealth:
    raise InvalidInput(f"can't connect {registration.type}", where="type")


async def forget(provider_id: str) -> None:
    raise NotFound(f"there is no provider {provider_id!r}")


async def replay(workflow_id: str, run_id: str | None) -> ReplayReport:
    raise NotFound(f"there is no run {workflow_id}")


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    def clock() -> datetime:
        return datetime.now(UTC)

    store = await open_store(f"sqlite:///{tmp_path / 'store.db'}", clock)
    yield Services(
        store=store,
        temporal=await Client.connect("127.0.0.1:1", lazy=True),
        providers=OneProvider(MemoryProvider()),
        secrets=SealedSecrets(MemoryRows(), b"k" * 32),
        token=TOKEN,
        node="here",
        namespace="iarnet",
        clock=clock,
        add_provider=refuse,
        remove_provider=forget,
        replay=replay,
        temporal_ui="http://127.0.0.1:8233",
        allowed_hosts=("node.example.com",),
    )
    await store.aclose()


@pytest.fixture
def app(services: Services) -> FastAPI:
    return create_app(services)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Holds the token."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE, headers=headers) as found:
        yield found


@pytest.fixture
async def stranger(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE) as found:
        yield found


@pytest.fixture
async def broken(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    """An API whose store was closed under it: what nobody foresaw."""

    class Nothing:
        def __getattr__(self, name: str) -> object:
            raise KeyError(name)

    app = create_app(replace(services, store=Nothing()))  # type: ignore[arg-type]
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE, headers=headers) as found:
        yield found
