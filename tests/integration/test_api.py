"""The API over real HTTP, on a real store and a real Temporal. The workflows are stand-ins under the real names:
what is tested is how they are started, followed and ended."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import SearchAttributeKey
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from api.app import create_app
from api.services import Services
from iarnet.errors import InstanceExited, NotFound, NothingToRun
from iarnet.models.analysis import Analysis
from iarnet.models.app import Event, Revision
from iarnet.models.change import (
    AnalyzeRequest,
    AnalyzeResult,
    Begin,
    ChangeRequest,
    ChangeResult,
    ComponentProgress,
    Deployment,
    ImportRequest,
    ImportResult,
    Progress,
    ReplayReport,
    RestartRequest,
)
from iarnet.models.component import Component
from iarnet.models.edge import Edge
from iarnet.models.instance import InstanceSpec
from iarnet.models.plan import Plan
from iarnet.models.provider import ProviderHealth, ProviderRegistration
from iarnet.models.source import GitSource, Source
from iarnet.providers.base import Provider
from iarnet.providers.memory import MemoryProvider
from iarnet.secrets.sealed import MemoryRows, SealedSecrets
from iarnet.store.base import Store
from iarnet.store.open import open_store

TOKEN = "correct-horse"
URL = "https://example.com/shop.git"
COMMIT, TREE = "c" * 40, "d" * 40
QUEUE = "iarnet"
V1 = "/api/v1"
KEYWORDS = tuple(SearchAttributeKey.for_keyword(f"Iarnet{name}") for name in ("App", "Cause", "Node"))
WEB = Component(name="web", kind="web", language="go", image="nginx:stable")
DB = Component(name="db", kind="database", image="postgres:16")
EDGES = (Edge.model_validate({"from": "web", "to": "db", "type": "tcp"}),)


@dataclass
class Facts:
    """What the stand-ins record."""

    store: Store

    @activity.defn
    async def import_source(self, request: ImportRequest) -> ImportResult:
        git = (await self.store.apps.get(request.app)).git
        source = Source(app=request.app, git=git, commit=COMMIT, tree=TREE, fetched_at=datetime.now(UTC))
        await self.store.facts.save_source(source)
        return ImportResult(app=request.app, commit=COMMIT, tree=TREE, changed=True)

    @activity.defn
    async def analyze_source(self, request: AnalyzeRequest) -> AnalyzeResult:
        await self.store.facts.save_analysis(request.app, Analysis(tree=TREE, components=(WEB, DB), edges=EDGES))
        return AnalyzeResult(app=request.app, tree=TREE, components=("web", "db"), edges=1, cached=False)

    @activity.defn
    async def begin(self, begin: Begin) -> Deployment:
        return await self.store.facts.begin(begin)

    @activity.defn
    async def finish(self, progress: Progress) -> None:
        await self.store.facts.finish(progress.deployment_id, progress.status, progress, progress.failure)


SOON: Any = {"start_to_close_timeout": timedelta(seconds=10)}


@workflow.defn(name="ImportApp")
class ImportApp:
    @workflow.run
    async def run(self, request: ImportRequest) -> ImportResult:
        return await workflow.execute_activity_method(Facts.import_source, request, **SOON)


@workflow.defn(name="AnalyzeApp")
class AnalyzeApp:
    @workflow.run
    async def run(self, request: AnalyzeRequest) -> AnalyzeResult:
        return await workflow.execute_activity_method(Facts.analyze_source, request, **SOON)


@workflow.defn(name="PlanChange")
class PlanChange:
    @workflow.run
    async def run(self, request: ChangeRequest) -> Plan:
        if request.app == "empty":
            error = NothingToRun("no component was found", where="/", hint="add a Dockerfile")
            raise ApplicationError(error.message, error.details(), type=error.code, non_retryable=True)
        return Plan(app=request.app, revision=1, cause=request.cause, notes=request.components)


class Change:
    """Goes on when told to; `web.env.BREAK` makes it fail. Its result repeats what it was asked."""

    def __init__(self) -> None:
        self._progress = Progress(app="shop", step="waiting")
        self._told = False

    async def change(self, request: ChangeRequest) -> ChangeResult:
        info = workflow.info()
        begin = Begin(app=request.app, cause=request.cause, workflow_id=info.workflow_id, run_id=info.run_id)
        begun = await workflow.execute_activity_method(Facts.begin, begin, **SOON)
        self._progress = Progress(app=request.app, deployment_id=begun.id, step="waiting")
        await workflow.wait_condition(lambda: self._told)
        if "web.env.BREAK" in request.settings:
            error = InstanceExited("web ended with code 3", component="web", hint="look at it", log=("boom",))
            raise ApplicationError(error.message, error.details(), type=error.code, non_retryable=True)
        await workflow.execute_activity_method(
            Facts.finish, self._progress.model_copy(update={"status": "succeeded"}), **SOON
        )
        asked = (request.model_dump_json(exclude_defaults=True),)
        return ChangeResult(app=request.app, deployment_id=begun.id, revision=1, status="succeeded", notes=asked)

    @workflow.signal
    def go(self) -> None:
        self._told = True

    @workflow.signal
    def phase(self, name: str) -> None:
        told = ComponentProgress.model_validate({"component": "web", "phase": name})
        self._progress = self._progress.model_copy(update={"components": (told,)})

    @workflow.query
    def progress(self) -> Progress:
        return self._progress


@workflow.defn(name="DeployApp")
class DeployApp(Change):
    @workflow.run
    async def run(self, request: ChangeRequest) -> ChangeResult:
        return await self.change(request)


@workflow.defn(name="StopApp")
class StopApp(Change):
    @workflow.run
    async def run(self, request: ChangeRequest) -> ChangeResult:
        return await self.change(request)


@workflow.defn(name="DeleteApp")
class DeleteApp(Change):
    @workflow.run
    async def run(self, request: ChangeRequest) -> ChangeResult:
        return await self.change(request)


@workflow.defn(name="HealthWatch")
class HealthWatch:
    def __init__(self) -> None:
        self._restarted: list[str] = []

    @workflow.run
    async def run(self) -> list[str]:
        await workflow.wait_condition(lambda: bool(self._restarted))
        return self._restarted

    @workflow.update
    def restart(self, request: RestartRequest) -> int:
        self._restarted.append(request.component)
        return 1


class OneProvider:
    def __init__(self, memory: MemoryProvider) -> None:
        self.memory = memory

    def get(self, provider_id: str) -> Provider:
        return self.memory

    def all(self) -> list[Provider]:
        return [self.memory]


@dataclass
class Node:
    """A served API, and what stands behind it."""

    http: httpx.AsyncClient
    store: Store
    temporal: Client
    memory: MemoryProvider
    secrets: SealedSecrets

    async def post(self, path: str, body: object = None, *, status: int = 202) -> dict[str, Any]:
        answer = await self.http.post(path, json={} if body is None else body)
        assert answer.status_code == status, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def get(self, path: str, *, status: int = 200) -> dict[str, Any]:
        answer = await self.http.get(path)
        assert answer.status_code == status, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def go(self, run: dict[str, Any]) -> None:
        await self.temporal.get_workflow_handle(run["workflow_id"], run_id=run["run_id"]).signal("go")

    async def asked(self, run: dict[str, Any]) -> dict[str, Any]:
        """Lets the change end, and gives what it had been asked."""
        await self.go(run)
        result = await self.temporal.get_workflow_handle(run["workflow_id"], run_id=run["run_id"]).result()
        found: dict[str, Any] = json.loads(result["notes"][0])
        return found

    async def messages(self, path: str) -> AsyncIterator[tuple[str, Any]]:
        async with self.http.stream("GET", path) as response:
            assert response.status_code == 200
            assert response.headers["content-type"].startswith("text/event-stream")
            name = ""
            async for line in response.aiter_lines():
                key, _, value = line.partition(": ")
                if key == "event":
                    name = value
                elif key == "data":
                    yield name, json.loads(value)

    async def end(self, run: dict[str, Any]) -> dict[str, Any]:
        last = [told async for told in self.messages(run["follow"] + "/events")][-1]
        assert last[0] == "done"
        found: dict[str, Any] = last[1]
        return found


@pytest.fixture(scope="module")
async def temporal() -> AsyncIterator[Client]:
    binary = Path(sys.executable).parent / "temporal"
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(binary), data_converter=pydantic_data_converter, search_attributes=KEYWORDS
    ) as environment:
        yield environment.client


@pytest.fixture
async def node(temporal: Client, tmp_path: Path) -> AsyncIterator[Node]:
    store = await open_store(f"sqlite:///{tmp_path / 'store.db'}", lambda: datetime.now(UTC))
    facts, memory, secrets = Facts(store), MemoryProvider(), SealedSecrets(MemoryRows(), b"k" * 32)
    worker = Worker(
        temporal,
        task_queue=QUEUE,
        workflows=[ImportApp, AnalyzeApp, PlanChange, DeployApp, StopApp, DeleteApp, HealthWatch],
        activities=[facts.import_source, facts.analyze_source, facts.begin, facts.finish],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(services(store, temporal, memory, secrets)),
            port=0,
            access_log=False,
            lifespan="off",
        )
    )
    async with worker:
        serving = asyncio.create_task(server.serve())
        address = await listening(server, serving)
        async with httpx.AsyncClient(
            base_url=address, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30
        ) as client:
            yield Node(client, store, temporal, memory, secrets)
        await ended(temporal)
        server.should_exit = True
        await serving
    await store.aclose()


def services(store: Store, temporal: Client, memory: MemoryProvider, secrets: SealedSecrets) -> Services:
    async def add_provider(registration: ProviderRegistration) -> ProviderHealth:
        await store.providers.register(registration)
        return ProviderHealth(reachable=True)

    async def replay(workflow_id: str, run_id: str | None) -> ReplayReport:
        raise NotFound("no such run")

    async def analyze(git: GitSource) -> Analysis:
        raise NotFound("no such repository")

    return Services(
        store=store,
        temporal=temporal,
        providers=OneProvider(memory),
        secrets=secrets,
        token=TOKEN,
        node="here",
        owner="here-1",
        namespace="default",
        clock=lambda: datetime.now(UTC),
        add_provider=add_provider,
        remove_provider=store.providers.unregister,
        replay=replay,
        analyze=analyze,
        temporal_ui="http://127.0.0.1:8233/",
    )


async def listening(server: uvicorn.Server, serving: asyncio.Task[None]) -> str:
    async with asyncio.timeout(10):
        while not server.started:
            assert not serving.done()
            await asyncio.sleep(0.01)
    return f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"


async def ended(temporal: Client) -> None:
    """The next test has another store: nothing of this one may run on."""
    async for run in temporal.list_workflows("ExecutionStatus = 'Running'"):
        try:
            await temporal.get_workflow_handle(run.id, run_id=run.run_id).terminate()
        except RPCError as error:
            # The list lags behind: it has ended by itself.
            if error.status != RPCStatusCode.NOT_FOUND:
                raise


@pytest.fixture
async def shop(node: Node) -> Node:
    """An app that was deployed once."""
    await node.store.apps.create("shop", GitSource(url=URL))
    begun = await node.store.facts.begin(Begin(app="shop", cause="deploy", workflow_id="change.shop", run_id="old"))
    for number in (1, 2):
        await node.store.facts.save_revision(
            Revision(
                app="shop",
                number=number,
                commit=COMMIT,
                tree=TREE,
                components=(WEB, DB),
                edges=EDGES,
                created_at=datetime.now(UTC),
            )
        )
    progress = Progress(app="shop", deployment_id=begun.id, revision=1, status="succeeded")
    await node.store.facts.finish(begun.id, "succeeded", progress, None)
    await node.store.apps.set_running("shop", 2, COMMIT, begun.epoch)
    return node


async def test_a_healthy_node_says_so(node: Node) -> None:
    assert await node.get("/api/health") == {"status": "ok", "checks": {"store": "ok", "temporal": "ok"}}


async def test_creating_writes_the_app_and_imports_it(node: Node) -> None:
    run = await node.post(f"{V1}/apps", {"url": URL, "ref": "feature/x"})
    assert (run["app"], run["workflow_id"]) == ("shop", "import.shop.feature-x")
    assert run["follow"] == f"{V1}/runs/{run['workflow_id']}/{run['run_id']}"
    ui = "http://127.0.0.1:8233/namespaces/default/workflows"
    assert run["url"] == f"{ui}/import.shop.feature-x/{run['run_id']}/history"
    ended = await node.end(run)
    assert ended["result"]["commit"] == COMMIT
    assert ended["progress"]["status"] == "succeeded"
    assert (await node.get(f"{V1}/apps/shop"))["git"]["ref"] == "feature/x"


async def test_creating_twice_is_creating_once(node: Node) -> None:
    first = await node.post(f"{V1}/apps", {"url": URL})
    second = await node.post(f"{V1}/apps", {"url": URL})
    assert first["workflow_id"] == second["workflow_id"] == "import.shop.default"
    refused = await node.post(f"{V1}/apps", {"url": "https://example.com/team/shop.git"}, status=409)
    assert refused["code"] == "AlreadyExists"


async def test_a_run_is_labelled_for_the_temporal_web_ui(shop: Node) -> None:
    run = await shop.post(f"{V1}/apps/shop/deploy")
    seen = await shop.temporal.get_workflow_handle(run["workflow_id"], run_id=run["run_id"]).describe()
    assert [seen.typed_search_attributes.get(key) for key in KEYWORDS] == ["shop", "deploy", "here"]
    assert await seen.static_summary() == "deploy shop"


async def test_a_second_change_is_refused_with_the_way_to_the_first(shop: Node) -> None:
    run = await shop.post(f"{V1}/apps/shop/deploy")
    for verb in ("deploy", "stop", "retry", "start"):
        refused = await shop.post(f"{V1}/apps/shop/{verb}", status=409)
        assert refused["code"] == "ChangeInProgress"
        assert refused["where"] == f"change.shop/{run['run_id']}"
        assert "/cancel" in refused["hint"]
        assert run["run_id"] in refused["hint"]
    deleted = await shop.http.delete(f"{V1}/apps/shop")
    assert (deleted.status_code, deleted.json()["code"]) == (409, "ChangeInProgress")
    await shop.go(run)
    assert (await shop.end(run))["progress"]["status"] == "succeeded"


async def test_a_change_that_is_recorded_as_ended_is_waited_for(shop: Node) -> None:
    run = await shop.post(f"{V1}/apps/shop/deploy")
    told = (data["deployment_id"] async for _, data in shop.messages(f"{run['follow']}/events"))
    begun = await anext(id async for id in told if id)
    await shop.store.facts.finish(begun, "succeeded", Progress(app="shop", status="succeeded"), None)
    following = asyncio.create_task(shop.post(f"{V1}/apps/shop/stop"))
    await asyncio.wait([following], timeout=0.2)
    assert not following.done()
    await shop.go(run)
    after = await following
    assert after["run_id"] != run["run_id"]
    await shop.go(after)
    assert (await shop.end(after))["progress"]["status"] == "succeeded"


async def test_two_changes_at_the_same_moment_are_one_change(shop: Node) -> None:
    answers = await asyncio.gather(*(shop.http.post(f"{V1}/apps/shop/deploy", json={}) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [202] + [409] * 7


async def test_following_tells_each_change_of_the_progress_and_the_end(shop: Node) -> None:
    run = await shop.post(f"{V1}/apps/shop/deploy")
    handle = shop.temporal.get_workflow_handle(run["workflow_id"], run_id=run["run_id"])
    phases = []
    async for name, data in shop.messages(run["follow"] + "/events"):
        if name == "done":
            break
        phase = data["components"][0]["phase"] if data["components"] else ""
        phases.append(phase)
        following = {"": "starting", "starting": "healthy"}.get(phase)
        if data["step"] == "waiting" and data["deployment_id"]:
            await (handle.signal("phase", following) if following else handle.signal("go"))
    assert [p for p in phases if p] == ["starting", "healthy"]
    assert data["progress"]["status"] == "succeeded"
    assert data["result"]["deployment_id"] == "shop.2"
    assert await shop.get(run["follow"]) == data["progress"]


async def test_a_run_goes_on_when_nobody_looks_any_more(shop: Node) -> None:
    run = await shop.post(f"{V1}/apps/shop/deploy")
    async for name, _ in shop.messages(run["follow"] + "/events"):
        assert name == "progress"
        break
    await shop.go(run)
    assert (await shop.end(run))["progress"]["status"] == "succeeded"


async def test_a_failure_says_what_failed_and_with_which_last_lines(shop: Node) -> None:
    run = await shop.post(f"{V1}/apps/shop/fork", {"settings": {"web.env.BREAK": "1"}})
    await shop.go(run)
    done = await shop.end(run)
    failure = done["progress"]["failure"]
    assert done["progress"]["status"] == "failed"
    assert (failure["code"], failure["component"], failure["log"]) == ("InstanceExited", "web", ["boom"])
    assert (await shop.get(run["follow"]))["failure"] == failure


async def test_cancelling_ends_the_change(shop: Node) -> None:
    run = await shop.post(f"{V1}/apps/shop/deploy")
    cancelled = await shop.post(f"{V1}/apps/shop/cancel")
    assert cancelled["run_id"] == run["run_id"]
    done = await shop.end(run)
    assert (done["progress"]["status"], done["progress"]["failure"]["code"]) == ("cancelled", "Cancelled")
    assert (await shop.post(f"{V1}/apps/shop/cancel", status=409))["code"] == "Conflict"


@pytest.mark.parametrize(
    ("verb", "body", "kind", "asked"),
    [
        (
            "deploy",
            {"components": ["web"], "settings": {"web.env.A": "1"}},
            "DeployApp",
            {"components": ["web"], "settings": {"web.env.A": "1"}},
        ),
        ("deploy", {"fetch": False, "on_failure": "hold"}, "DeployApp", {"fetch": False, "on_failure": "hold"}),
        ("stop", {}, "StopApp", {"cause": "stop", "fetch": False}),
        ("start", {}, "DeployApp", {"cause": "start", "fetch": False}),
        # The last change of this shop wanted its old revision.
        ("retry", {}, "DeployApp", {"cause": "retry", "revision": 1}),
        (
            "fork",
            {"secrets": {"web.env.KEY": "shop/key"}},
            "DeployApp",
            {"cause": "fork", "fetch": False, "secrets": {"web.env.KEY": "shop/key"}, "on_failure": "hold"},
        ),
        ("rollback", {}, "DeployApp", {"cause": "rollback", "fetch": False, "revision": 1}),
        ("rollback", {"revision": 2}, "DeployApp", {"cause": "rollback", "fetch": False, "revision": 2}),
        (
            "scale",
            {"replicas": {"web": 3, "db": 0}},
            "DeployApp",
            {"cause": "scale", "fetch": False, "settings": {"web.replicas": "3", "db.replicas": "0"}},
        ),
    ],
)
async def test_each_verb_asks_for_its_change(
    shop: Node, verb: str, body: dict[str, Any], kind: str, asked: dict[str, Any]
) -> None:
    await shop.secrets.put("shop/key", "value")
    run = await shop.post(f"{V1}/apps/shop/{verb}", body)
    assert run["workflow_id"] == "change.shop"
    seen = await shop.temporal.get_workflow_handle(run["workflow_id"], run_id=run["run_id"]).describe()
    assert seen.workflow_type == kind
    assert await shop.asked(run) == {"app": "shop"} | asked


@pytest.mark.parametrize(("query", "asked"), [("", {}), ("?keep_data=false", {"keep_data": False})])
async def test_deleting_keeps_the_data_unless_told_otherwise(shop: Node, query: str, asked: dict[str, Any]) -> None:
    answer = await shop.http.delete(f"{V1}/apps/shop{query}")
    assert answer.status_code == 202
    assert await shop.asked(answer.json()) == {"app": "shop", "cause": "delete", "fetch": False} | asked


async def test_a_plan_is_answered_and_its_refusal_too(shop: Node) -> None:
    plan = await shop.post(f"{V1}/apps/shop/plan", {"components": ["web"]}, status=200)
    assert (plan["revision"], plan["notes"]) == (1, ["web"])
    await shop.store.apps.create("empty", GitSource(url=URL))
    refused = await shop.post(f"{V1}/apps/empty/plan", status=422)
    assert (refused["code"], refused["where"], refused["hint"]) == ("NothingToRun", "/", "add a Dockerfile")


async def test_restarting_tells_the_watch(shop: Node) -> None:
    refused = await shop.post(f"{V1}/apps/shop/restart", status=409)
    assert refused["code"] == "Conflict"
    watch = await shop.temporal.start_workflow("HealthWatch", id="watch.shop", task_queue=QUEUE)
    run = await shop.post(f"{V1}/apps/shop/restart", {"component": "web"})
    assert run["workflow_id"] == "watch.shop"
    assert await watch.result() == ["web"]


async def test_the_documented_way_from_a_repository_to_a_deployment(node: Node) -> None:
    created = await node.post("/application/apps", {"name": "My Web App", "git_url": URL, "branch": "main"})
    assert (created["id"], created["name"], created["status"]) == ("my-web-app", "My Web App", "idle")
    app = "/application/apps/my-web-app"
    analysis = await node.post(f"{app}/analyze", status=200)
    assert [(c["id"], c["type"], c["language"]) for c in analysis["components"]] == [
        ("web", "web", "go"),
        ("db", "database", None),
    ]
    assert analysis["dag"] == {"edges": [{"from": "web", "to": "db", "type": "tcp"}]}
    run = await node.post(f"{app}/deploy-components", {"components": ["web", "db"]})
    assert run["workflow_id"] == "change.my-web-app"
    assert (await node.asked(run))["components"] == ["web", "db"]


async def test_importing_another_ref_changes_the_apps_own(shop: Node) -> None:
    run = await shop.post(f"{V1}/apps/shop/import", {"ref": "v2"})
    assert run["workflow_id"] == "import.shop.v2"
    assert (await shop.end(run))["result"]["commit"] == COMMIT
    run = await shop.post(f"{V1}/apps/shop/analyze")
    assert run["workflow_id"] == f"analyze.shop.{COMMIT[:12]}"
    assert (await shop.end(run))["result"]["components"] == ["web", "db"]
    assert (await shop.store.apps.get("shop")).git.ref == "v2"


@pytest.mark.parametrize("path", ["change.shop/none", "change.absent/x", "shop/x", "evil.shop/x", "change./x"])
async def test_a_run_that_never_was_is_not_found(shop: Node, path: str) -> None:
    assert (await shop.get(f"{V1}/runs/{path}", status=404))["code"] == "NotFound"
    assert (await shop.get(f"{V1}/runs/{path}/events", status=404))["code"] == "NotFound"


async def test_a_run_that_temporal_has_forgotten_is_told_from_the_store(shop: Node) -> None:
    found = await shop.get(f"{V1}/runs/change.shop/old")
    assert (found["status"], found["deployment_id"], found["revision"]) == ("succeeded", "shop.1", 1)


async def test_events_are_followed_as_they_happen_and_from_where_one_left(shop: Node) -> None:
    async def happen(message: str) -> None:
        event = Event(time=datetime.now(UTC), app="shop", kind="test", message=message)
        await shop.store.facts.add_event(event)

    await happen("first")
    told = []
    async for name, data in shop.messages(f"{V1}/apps/shop/events?follow=true"):
        told.append((name, data["message"]))
        if len(told) == 2:
            break
        await happen("second")
    assert told == [("event", "first"), ("event", "second")]
    last = (await shop.get(f"{V1}/apps/shop/events"))["events"][0]["id"]
    shop.http.headers["Last-Event-ID"] = str(last)
    async for _, data in shop.messages(f"{V1}/apps/shop/events?follow=true"):
        assert data["message"] == "second"
        break


async def test_log_lines_are_followed_until_their_instance_ends(shop: Node) -> None:
    name = "iarnet-shop-web-r2-0"
    epoch = (await shop.store.apps.get("shop")).epoch
    spec = InstanceSpec(
        name=name,
        app="shop",
        component="web",
        kind="web",
        owner="here",
        revision=2,
        replica=0,
        epoch=epoch,
        image="nginx:stable",
    )
    await shop.store.instances.intend(spec, "memory")
    await shop.store.instances.record(await shop.memory.deploy(spec))
    shop.memory.say(name, "one")
    told = []
    async for kind, line in shop.messages(f"{V1}/apps/shop/logs?follow=true&component=web"):
        told.append((kind, line["component"], line["text"]))
        if len(told) == 1:
            shop.memory.say(name, "two")
        else:
            shop.memory.end(name)
    assert told == [("line", "web", "one"), ("line", "web", "two")]


async def test_a_registered_provider_keeps_its_keys_sealed(node: Node) -> None:
    body = {"id": "far", "name": "Far", "type": "docker", "url": "tcp://far:2376"}
    answer = await node.http.post(f"{V1}/providers", json=body)
    assert (answer.status_code, answer.json()["health"]["reachable"]) == (201, True)
    assert (await node.get(f"{V1}/providers"))["registrations"][0]["id"] == "far"
    assert (await node.http.delete(f"{V1}/providers/far")).status_code == 204
    documented = {"name": "K8s", "type": "k8s", "host": "k8s", "port": 6443, "config": {"kubeconfig": "sealed-thing"}}
    await node.post("/resource/providers", documented, status=503)
    listed = await node.http.get(f"{V1}/providers")
    assert "sealed-thing" not in listed.text
    assert listed.json()["registrations"][0]["secrets"] == {"kubeconfig": "credentials/provider-k8s/kubeconfig"}
