"""A node for the command line: the real API on a real port, a real store, a real Temporal; scripted workflows."""

import asyncio
import io
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog
import uvicorn
from temporalio.client import Client
from temporalio.common import SearchAttributeKey
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker
from typer.testing import CliRunner, Result

from api.app import create_app
from api.services import Services
from iarnet.cli.main import app as program
from iarnet.errors import AlreadyExists, NotFound
from iarnet.models.analysis import Analysis
from iarnet.models.app import Event, Revision
from iarnet.models.change import Begin, Progress, ReplayReport
from iarnet.models.component import Component, Limits, Port
from iarnet.models.placement import Assignment, Placement, Rejection, Score
from iarnet.models.plan import Plan
from iarnet.models.provider import ProviderHealth, ProviderInfo, ProviderRegistration, ProviderState
from iarnet.models.resources import GIB, Capacity, Resources
from iarnet.models.source import GitSource, Source
from iarnet.models.traffic import Breaker, Endpoint, EndpointLoad, RecentTraffic, Service, ServiceTraffic
from iarnet.providers.base import Provider
from iarnet.providers.memory import MemoryProvider
from iarnet.secrets.sealed import MemoryRows, SealedSecrets
from iarnet.store.base import Store
from iarnet.store.open import open_store
from tests.unit.api.recording import RecordingGateway
from tests.unit.cli.scripted import WORKFLOWS
from workers.temporal_server import find

TOKEN = "correct-horse"
COMMIT = "c" * 40
TREE = "d" * 40


@dataclass(frozen=True)
class Running:
    """`call` runs the command line against this node."""

    url: str
    data_dir: Path
    home: Path

    def call(self, *args: str, stdin: str | None = None, **environ: str) -> Result:
        base = {"HOME": str(self.home), "IARNET_DATA_DIR": str(self.data_dir), "TERM": "dumb"}
        return CliRunner().invoke(program, [*args], input=stdin, env=base | environ, catch_exceptions=False)


class Connected:
    """What a user connects and disconnects."""

    def __init__(self) -> None:
        self.rows: dict[str, ProviderRegistration] = {}
        self.memory = MemoryProvider()

    def get(self, provider_id: str) -> Provider:
        if provider_id != self.memory.info.id:
            raise NotFound(f"there is no provider {provider_id!r}")
        return self.memory

    def all(self) -> list[Provider]:
        return [self.memory]

    async def add(self, registration: ProviderRegistration) -> ProviderHealth:
        if registration.id in self.rows:
            raise AlreadyExists(f"there is a provider {registration.id!r} already", hint="choose another ID")
        self.rows[registration.id] = registration
        return ProviderHealth(reachable=True, latency_s=0.002, version="27.0")

    async def remove(self, provider_id: str) -> None:
        if self.rows.pop(provider_id, None) is None:
            raise NotFound(f"there is no provider {provider_id!r}")


async def replay(workflow_id: str, run_id: str | None) -> ReplayReport:
    if workflow_id == "change.gone":
        raise NotFound("there is no such run", where=workflow_id)
    same = workflow_id == "change.same"
    return ReplayReport(
        workflow_id=workflow_id, run_id=run_id or "r", same=same, difference="" if same else "activity 3 differs"
    )


async def analyze(git: GitSource) -> Analysis:
    """Every repository has one component, which is called after its branch."""
    return Analysis(tree=TREE, components=(Component(name=git.ref or "main", kind="web", image="nginx"),))


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("home")
    data_dir = home / "data"
    data_dir.mkdir()
    # Its log lines would end up in what the command line is thought to have said.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(io.StringIO()))
    started, end = threading.Event(), threading.Event()
    found: list[str] = []
    thread = threading.Thread(target=lambda: asyncio.run(_serve(data_dir, found, started, end)))
    thread.start()
    assert started.wait(60)
    (data_dir / "address").write_text(found[0])
    (data_dir / "token").touch(mode=0o600)
    (data_dir / "token").write_text(TOKEN)
    yield Running(found[0], data_dir, home)
    end.set()
    thread.join(30)
    structlog.reset_defaults()


@pytest.fixture
def call(node: Running) -> Callable[..., Result]:
    return node.call


async def _serve(data_dir: Path, found: list[str], started: threading.Event, end: threading.Event) -> None:
    keys = [SearchAttributeKey.for_keyword(name) for name in ("IarnetApp", "IarnetCause", "IarnetNode")]
    store = await open_store(f"sqlite:///{data_dir / 'iarnet.db'}", lambda: datetime.now(UTC))
    await _fill(store)
    await _lead(store)
    async with (
        await WorkflowEnvironment.start_local(
            dev_server_existing_path=find(""), data_converter=pydantic_data_converter, search_attributes=keys
        ) as temporal,
        Worker(temporal.client, task_queue="iarnet", workflows=WORKFLOWS),
    ):
        # Connections wait in its backlog until the server takes them.
        listening = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(_api(temporal.client, store), log_config=None, lifespan="off"))
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        found.append(f"http://127.0.0.1:{listening.getsockname()[1]}")
        started.set()
        await asyncio.to_thread(end.wait)
        server.force_exit = server.should_exit = True
        await serving
    await store.aclose()


def _api(client: Client, store: Store):
    connected = Connected()
    gateway = RecordingGateway(store)
    gateway.busy = [EndpointLoad(instance="iarnet-shop-web-r1-0", connections=3, requests=2, requests_total=1234)]
    recent = RecentTraffic(over_s=50, requests_per_s=12.5, error_share=0.004, mean_s=0.0082, p95_s=0.0204)
    gateway.full = [Breaker(service="shop/web/80/tcp", full=("requests",), refused_total=3)]
    gateway.counted = [ServiceTraffic(app="shop", component="web", recent=recent)]
    return create_app(
        Services(
            store=store,
            temporal=client,
            providers=connected,
            secrets=SealedSecrets(MemoryRows(), b"k" * 32),
            token=TOKEN,
            node="here",
            owner="here-1",
            namespace="default",
            clock=lambda: datetime.now(UTC),
            add_provider=connected.add,
            remove_provider=connected.remove,
            replay=replay,
            analyze=analyze,
            gateway=gateway,
        )
    )


async def _fill(store: Store) -> None:
    """`shop` is deployed, with one component that runs; `idle` was only imported."""
    git = GitSource(url="https://example.org/shop.git")
    web = Component(name="web", kind="web", image="nginx", ports=(Port(port=80, publish="auto"),))
    for name in ("shop", "idle"):
        await store.apps.create(name, git.model_copy(update={"url": f"https://example.org/{name}.git"}))
        source = Source(app=name, git=git, commit=COMMIT, tree=TREE, fetched_at=datetime.now(UTC))
        await store.facts.save_source(source)
        await store.facts.save_analysis(name, Analysis(tree=TREE, components=(web,)))
    begin = Begin(app="shop", cause="deploy", workflow_id="change.shop", run_id="first")
    deployment = await store.facts.begin(begin)
    await store.facts.save_revision(
        Revision(app="shop", number=1, commit=COMMIT, tree=TREE, components=(web,), created_at=datetime.now(UTC))
    )
    chosen = Assignment(
        component="web",
        provider_id="memory",
        reason="most room",
        scores=(Score(provider_id="memory", total=0.75, parts={"fit": 0.75}),),
        rejections=(Rejection(provider_id="far", filter="status", reason="it does not answer"),),
    )
    plan = Plan(app="shop", revision=1, cause="deploy", placement=Placement(assignments=(chosen,)))
    await store.facts.save_plan(deployment.id, plan)
    await store.facts.finish(deployment.id, "succeeded", Progress(app="shop", revision=1, status="succeeded"), None)
    await store.apps.set_running("shop", 1, COMMIT, deployment.epoch)
    for n in range(3):
        await store.facts.add_event(
            Event(time=datetime.now(UTC), app="shop", component="web", kind="started", message=f"\x1b[31mattempt {n}")
        )
    await store.facts.save_build_log("shop", "web", "nginx", ("step 1", "step 2"))
    info = ProviderInfo(id="memory", name="Memory", type="memory")
    room = Resources(cpu_millis=1500, memory_bytes=2 * GIB)
    state = ProviderState(
        info=info,
        status="active",
        capacity=Capacity(total=room, used=Resources(), available=room),
        health=ProviderHealth(reachable=True),
        seen_at=datetime.now(UTC),
    )
    await store.providers.save_state(state)


async def _lead(store: Store) -> None:
    place = {"app": "shop", "component": "web", "provider_id": "memory"}
    web = Service(
        port=80,
        host_port=20080,
        address="10.210.8.1",
        subnet="10.210.8.0/24",
        limits=Limits(requests=2),
        **place,
    )
    await store.traffic.serve("shop", "memory", [web])
    instance = Endpoint(instance="iarnet-shop-web-r1-0", revision=1, address="10.210.8.3", **place)
    await store.traffic.put_endpoint(instance)


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
