"""A whole API on a real store, with nothing behind its Temporal address."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from api.app import create_app
from api.services import Services
from iarnet.errors import InvalidInput, NotFound
from iarnet.models.analysis import Analysis, Warning
from iarnet.models.app import Event, Revision
from iarnet.models.change import Begin, ComponentProgress, Progress, ReplayReport
from iarnet.models.component import Component, Port
from iarnet.models.edge import Edge
from iarnet.models.instance import InstanceSpec, PortBinding
from iarnet.models.placement import Assignment, Placement, Rejection, Score
from iarnet.models.plan import Plan
from iarnet.models.provider import ProviderHealth, ProviderInfo, ProviderRegistration, ProviderState
from iarnet.models.resources import GIB, MIB, Capacity, Resources
from iarnet.models.source import GitSource, Source
from iarnet.providers.base import Provider
from iarnet.providers.memory import MemoryProvider
from iarnet.secrets.sealed import MemoryRows, SealedSecrets
from iarnet.store.open import open_store
from tests.unit.api.recording import RecordingGateway

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


async def analyze(git: GitSource) -> Analysis:
    """Every repository is the shop's."""
    return Analysis(tree=TREE, components=(WEB, DB), edges=EDGES)


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    def clock() -> datetime:
        return datetime.now(UTC)

    store = await open_store(f"sqlite:///{tmp_path / 'store.db'}", clock)
    yield Services(
        store=store,
        temporal=await Client.connect("127.0.0.1:1", lazy=True, data_converter=pydantic_data_converter),
        providers=OneProvider(MemoryProvider()),
        secrets=SealedSecrets(MemoryRows(), b"k" * 32),
        token=TOKEN,
        node="here",
        owner="here-1",
        namespace="iarnet",
        clock=clock,
        add_provider=refuse,
        remove_provider=forget,
        replay=replay,
        analyze=analyze,
        gateway=RecordingGateway(store),
        temporal_ui="http://127.0.0.1:8233",
        allowed_hosts=("Node.example.com", ""),
    )
    await store.aclose()


@pytest.fixture(scope="session")
def built() -> list[FastAPI]:
    """FastAPI works out the routes of an app when one is asked for, in a quarter of a second: one app serves all."""
    return []


@pytest.fixture
def app(built: list[FastAPI], services: Services) -> FastAPI:
    if not built:
        built.append(create_app(services))
    built[0].state.services = services
    return built[0]


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


COMMIT, TREE = "c" * 40, "d" * 40
GIT = GitSource(url="https://example.com/shop.git", ref="main")
WEB = Component(
    name="web",
    kind="web",
    language="javascript",
    framework="react",
    image="nginx:stable",
    ports=(Port(port=80, publish="auto"),),
    resources=Resources(cpu_millis=1000, memory_bytes=512 * MIB),
)
DB = Component(name="db", kind="database", image="postgres:16", ports=(Port(port=5432, protocol="tcp"),))
EDGES = (Edge.model_validate({"from": "web", "to": "db", "type": "database"}),)


@pytest.fixture
async def shop(services: Services) -> Services:
    """An app of two components that was deployed: `web` runs and is published, `db` has ended."""
    store, now = services.store, services.clock()
    await store.apps.create("shop", GIT, "Web Shop")
    begun = await store.facts.begin(Begin(app="shop", cause="deploy", workflow_id="change.shop", run_id="run-1"))
    await store.facts.save_source(Source(app="shop", git=GIT, commit=COMMIT, tree=TREE, fetched_at=now))
    warning = Warning(code="guess", message="a guess", file="Procfile", line=2)
    analysis = Analysis(tree=TREE, components=(WEB, DB), edges=EDGES, warnings=(warning,))
    await store.facts.save_analysis("shop", analysis)
    for number in (1, 2):
        revision = Revision(
            app="shop", number=number, commit=COMMIT, tree=TREE, components=(WEB, DB), edges=EDGES, created_at=now
        )
        await store.facts.save_revision(revision)
    rejection = Rejection(provider_id="far", filter="room", reason="too little memory")
    score = Score(provider_id="memory", total=0.5, parts={"fit": 0.5})
    chosen = Assignment(component="web", provider_id="memory", scores=(score,), rejections=(rejection,))
    plan = Plan(app="shop", revision=2, cause="deploy", placement=Placement(assignments=(chosen,)))
    await store.facts.save_plan(begun.id, plan)
    await _run(services, "web", begun.epoch, PortBinding(port=80, host_port=32768))
    await _run(services, "db", begun.epoch, PortBinding(port=5432))
    memory = services.providers.get("memory")
    assert isinstance(memory, MemoryProvider)
    memory.end("iarnet-shop-db-r2-0", exit_code=1)
    await store.instances.record(next(i for i in await memory.instances("here") if i.component == "db"))
    told = (ComponentProgress(component="web", phase="healthy"), ComponentProgress(component="db", phase="healthy"))
    progress = Progress(app="shop", deployment_id=begun.id, revision=2, status="succeeded", components=told)
    await store.facts.finish(begun.id, "succeeded", progress, None)
    await store.apps.set_running("shop", 2, COMMIT, begun.epoch)
    await store.facts.save_build_log("shop", "web", "shop-web:1", ("step 1", "step 2"))
    await store.facts.add_event(Event(time=now, app="shop", kind="deployed", message="revision 2 runs"))
    await _offer(services)
    return services


async def _run(services: Services, component: str, epoch: int, port: PortBinding) -> None:
    spec = InstanceSpec(
        name=f"iarnet-shop-{component}-r2-0",
        app="shop",
        component=component,
        kind="web" if component == "web" else "database",
        owner="here",
        revision=2,
        replica=0,
        epoch=epoch,
        image="nginx:stable",
        ports=(port,),
    )
    await services.store.instances.intend(spec, "memory")
    await services.store.instances.record(await services.providers.get("memory").deploy(spec))


async def _offer(services: Services) -> None:
    """Two providers, one of which does not answer."""
    total = Resources(cpu_millis=8000, memory_bytes=16 * GIB, storage_bytes=500 * GIB, gpu_millis=2000)
    capacity = Capacity(total=total, used=Resources(), available=total)
    for name, status in (("memory", "active"), ("far", "unreachable")):
        info = ProviderInfo(id=name, name=name.title(), type="docker", host="localhost", port=2376)
        health = ProviderHealth(reachable=status == "active")
        state = {"info": info, "status": status, "capacity": capacity, "health": health, "seen_at": services.clock()}
        await services.store.providers.save_state(ProviderState.model_validate(state))
