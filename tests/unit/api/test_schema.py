"""What the API answers against what its OpenAPI document says, in single requests and in sequences of them.

`HYPOTHESIS_PROFILE=deep` has Schemathesis try as much as it can think of, for some minutes.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from temporalio.client import Client
from temporalio.common import SearchAttributeKey
from temporalio.testing import WorkflowEnvironment

from api.services import Services
from iarnet.errors import NotFound
from iarnet.models.analysis import Analysis
from iarnet.models.provider import ProviderHealth, ProviderRegistration, ProviderState
from iarnet.providers.base import Provider
from iarnet.providers.memory import MemoryProvider
from tests.depth import DEEP, LONGEST_S
from tests.unit.api.conftest import DB, EDGES, TOKEN, TREE, WEB
from tests.unit.api.played import Facts, player
from workers.converter import CONVERTER
from workers.search_attributes import ATTRIBUTES
from workers.temporal_server import find

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
# Derandomised; a request that starts a workflow waits for the workers of a busy machine.
ALWAYS = ["--seed=1", "--request-timeout=60", "--generation-database=none", "--warnings=off", "--no-color"]
# A request may fit the document and yet not what is there: `schema_checks` has a check that knows the difference.
CHECKS = ["--exclude-checks=positive_data_acceptance"]
DEPTH = (
    ["--phases=examples,coverage,fuzzing,stateful", "--max-examples=100", "--continue-on-failure"]
    if DEEP
    else ["--phases=fuzzing,stateful", "--max-examples=2", "--no-shrink"]
)


@pytest.fixture
async def temporal() -> AsyncIterator[Client]:
    keyword, number = SearchAttributeKey.for_keyword, SearchAttributeKey.for_int
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=find(""),
        data_converter=CONVERTER,
        search_attributes=[number(name) if kind == "Int" else keyword(name) for name, kind in ATTRIBUTES.items()],
    ) as environment:
        yield environment.client


@pytest.fixture
async def address(app: FastAPI, shop: Services, temporal: Client) -> AsyncIterator[str]:
    """Of a node on which nothing is missing: whatever it answers, no part of it is to blame."""
    attached = Attached(shop)
    node = {"temporal": temporal, "namespace": temporal.namespace, "authority": _authority}
    reach = {"providers": attached, "add_provider": attached.add, "remove_provider": attached.remove}
    app.state.services = services = replace(shop, **node, **reach)
    facts = Facts(shop.store, Analysis(tree=TREE, components=(WEB, DB), edges=EDGES), shop.clock)
    server = uvicorn.Server(uvicorn.Config(app, port=0, access_log=False, lifespan="off", log_level="warning"))
    async with player(temporal, services.task_queue, facts, shop.secrets):
        await temporal.start_workflow("HealthWatch", id="watch.shop", task_queue=services.task_queue)
        serving = asyncio.create_task(server.serve())
        async with asyncio.timeout(60):
            while not server.started:
                assert not serving.done()
                await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        server.should_exit = True
        await serving


class Attached:
    """The providers of a node that connects whatever it is told of: all of them are in memory."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._there: dict[str, Provider] = {"memory": services.providers.get("memory")}

    def get(self, provider_id: str) -> Provider:
        if provider_id not in self._there:
            raise NotFound(f"there is no provider {provider_id}")
        return self._there[provider_id]

    def all(self) -> list[Provider]:
        return list(self._there.values())

    async def add(self, registration: ProviderRegistration) -> ProviderHealth:
        rows, provider = self._services.store.providers, MemoryProvider(registration.id)
        await rows.register(registration)
        self._there[registration.id] = provider
        capacity, health = await provider.capacity(), await provider.check()
        state = {"info": provider.info, "status": "active", "capacity": capacity, "health": health}
        await rows.save_state(ProviderState.model_validate(state | {"seen_at": self._services.clock()}))
        return health

    async def remove(self, provider_id: str) -> None:
        self.get(provider_id)
        del self._there[provider_id]
        await self._services.store.providers.unregister(provider_id)


async def _authority() -> str:
    return "-----BEGIN CERTIFICATE-----\n"


@pytest.mark.search
@pytest.mark.timeout(LONGEST_S)
async def test_the_api_does_what_its_document_says(address: str, tmp_path: Path) -> None:
    """No 5xx; the documented statuses, media types and shapes; what does not fit is refused, and so is who has no
    token; what fits is not refused for its form."""
    schemathesis = Path(sys.executable).parent / "schemathesis"
    told = ["run", f"{address}/openapi.json", f"--header=Authorization: Bearer {TOKEN}", *ALWAYS, *CHECKS, *DEPTH]
    environ = os.environ | {"SCHEMATHESIS_HOOKS": "tests.unit.api.schema_checks", "PYTHONPATH": str(ROOT)}
    process = await asyncio.create_subprocess_exec(
        *(schemathesis, f"--config-file={HERE / 'schemathesis.toml'}", *told),
        cwd=tmp_path,  # it keeps things where it runs
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    report = output.decode()
    print(report)
    assert process.returncode == 0, report
