"""A change at awkward moments. Its activities are played: only so can they be held at one, or fail there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.worker import Worker

from activities.options import QUEUE, TASK, node_queue
from iarnet.models.change import (
    AnalyzeRequest,
    AnalyzeResult,
    Begin,
    ChangeRequest,
    ChangeResult,
    Deployment,
    ImportRequest,
    ImportResult,
)
from iarnet.models.image import BuildResult
from iarnet.models.instance import Instance, InstanceSpec
from iarnet.models.plan import Operation, Plan
from iarnet.models.source import GitSource
from iarnet.models.work import Effect, Hold, Outcome, Prepare
from workers.catalogue import WORKFLOWS
from workers.sandbox import runner
from workflows.refusals import RunInterceptor

NODE = "here"


class World:
    """Activities that tell what they do, and wait for `go` in the one named `held`, deaf to cancellation.

    `at_hand`: what planning raises as part of the run's own task; nothing: it is left to an activity.
    """

    def __init__(self, held: str = "", failing: str = "", at_hand: Exception | None = None) -> None:
        self._held = held
        self._failing = failing
        self._at_hand = at_hand
        self.reached = asyncio.Event()
        self.go = asyncio.Event()
        self.done: list[str] = []
        self.outcome: Outcome | None = None

    async def _do(self, name: str) -> None:
        if name == self._held:
            self.reached.set()
            await asyncio.shield(asyncio.create_task(self.go.wait()))
        self.done.append(name)
        if name == self._failing:
            raise ApplicationError("it broke", type="InstanceExited", non_retryable=True)

    @activity.defn
    async def begin_change(self, begin: Begin) -> Deployment:
        await self._do("begin")
        fields = begin.model_dump(exclude={"git", "node"})
        return Deployment(id=f"{begin.app}.1", number=1, epoch=1, node=NODE, started_at=datetime.now(UTC), **fields)

    @activity.defn
    async def import_source(self, request: ImportRequest) -> ImportResult:
        await self._do("import")
        return ImportResult(app=request.app, commit="c", tree="t", changed=True)

    @activity.defn
    async def analyze_source(self, request: AnalyzeRequest) -> AnalyzeResult:
        await self._do("analyse")
        return AnalyzeResult(app=request.app, tree="t", components=("web",), edges=0, cached=True)

    @activity.defn
    async def prepare_change(self, prepare: Prepare) -> Plan | None:
        if activity.info().is_local:
            if self._at_hand:
                raise self._at_hand
            return None  # a worker of another node, as one that can be held for long is an activity of its own
        await self._do("undo" if prepare.compensation else "plan")
        steps = (
            (_operation("remove"),) if prepare.compensation else (_operation("build"), _operation("deploy", "build"))
        )
        return Plan(app=prepare.request.app, revision=1, cause="deploy", operations=steps)

    @activity.defn
    async def analysed_commit(self, request: AnalyzeRequest) -> str:
        return ""

    @activity.defn
    async def ensure_watch(self, app: str, hold: Hold) -> None:
        await self._do("watch")

    @activity.defn
    async def tell_watch(self, app: str, hold: Hold | None) -> None:
        pass

    @activity.defn
    async def build_image(self, effect: Effect) -> BuildResult:
        await self._do("build")
        return BuildResult(image="i", digest="d", cached=False, duration_s=0)

    @activity.defn
    async def deploy_instance(self, effect: Effect) -> Instance:
        await self._do("deploy")
        return Instance(name="web", app="shop", component="web", provider_id="memory", spec_hash="h", state="running")

    @activity.defn
    async def remove_instance(self, effect: Effect) -> None:
        await self._do("remove")

    @activity.defn
    async def finish_change(self, outcome: Outcome) -> ChangeResult:
        await self._do("finish")
        self.outcome = outcome
        return ChangeResult(app="shop", deployment_id=outcome.deployment.id, revision=1, status=outcome.status)

    def all(self) -> list[Any]:
        named = (getattr(self, name) for name in dir(type(self)))
        return [method for method in named if hasattr(method, "__temporal_activity_definition")]


def _operation(kind: Any, *after: str) -> Operation:
    spec = InstanceSpec(
        name="web", app="shop", component="web", kind="web", owner=NODE, revision=1, replica=0, epoch=1, image="i"
    )
    return Operation(
        id=f"{kind}.web",
        kind=kind,
        component="web",
        provider_id="memory",
        instance="web",
        spec=spec,
        after=tuple(f"{each}.web" for each in after),
        queue=node_queue(NODE),
    )


@asynccontextmanager
async def deploying(client: Client, world: World, **request: Any) -> AsyncIterator[WorkflowHandle[Any, Any]]:
    common: dict[str, Any] = {"activities": world.all(), "interceptors": [RunInterceptor()]}
    async with (
        Worker(client, task_queue=QUEUE, workflows=WORKFLOWS, workflow_runner=runner(), **common),
        Worker(client, task_queue=node_queue(NODE), **common),
    ):
        change = ChangeRequest(app="shop", git=GitSource(url="https://example.org/shop.git"), **request)
        yield await client.start_workflow("DeployApp", change, id="change.shop", task_queue=QUEUE, task_timeout=TASK)


async def deployed(client: Client, world: World, **request: Any) -> tuple[BaseException | None, Any]:
    """What the run ended with, cancelled while the held activity was at work, and its status."""
    async with deploying(client, world, **request) as handle:
        await world.reached.wait()
        await handle.cancel()
        await _heard(handle)
        world.go.set()
        error: BaseException | None = None
        try:
            await handle.result()
        except WorkflowFailureError as failed:
            error = failed.cause
        return error, (await handle.describe()).status


async def _heard(handle: WorkflowHandle[Any, Any]) -> None:
    """The workflow, and not the server alone, is told that it was cancelled, before anything that comes later."""
    kinds: list[str] = []
    while "workflow_task_started_event_attributes" not in kinds:
        events = [str(event.WhichOneof("attributes")) for event in (await handle.fetch_history()).events]
        asked = "workflow_execution_cancel_requested_event_attributes"
        kinds = events[events.index(asked) :] if asked in events else []


@pytest.mark.parametrize(
    ("held", "done"),
    [
        ("import", ["begin", "import", "finish"]),
        ("analyse", ["begin", "import", "analyse", "finish"]),
        ("plan", ["begin", "import", "analyse", "plan", "undo", "remove", "finish"]),
        ("build", ["begin", "import", "analyse", "plan", "watch", "build", "undo", "remove", "finish"]),
        ("deploy", ["begin", "import", "analyse", "plan", "watch", "build", "deploy", "undo", "remove", "finish"]),
    ],
)
async def test_a_cancellation_is_heard_though_the_activity_ends_well(
    client: Client, held: str, done: list[str]
) -> None:
    world = World(held)
    error, status = await deployed(client, world)
    assert status == WorkflowExecutionStatus.CANCELED
    assert isinstance(error, CancelledError)
    assert world.done == done
    assert world.outcome
    assert world.outcome.status == "cancelled"


@pytest.mark.parametrize("held", ["undo", "remove", "finish"])
async def test_undoing_is_not_cut_short(client: Client, held: str) -> None:
    world = World(held, failing="deploy")
    error, status = await deployed(client, world, on_failure="rollback")
    assert status == WorkflowExecutionStatus.FAILED
    assert isinstance(error, ApplicationError)
    assert error.type == "InstanceExited"
    assert world.done[-4:] == ["deploy", "undo", "remove", "finish"]
    assert world.outcome
    assert world.outcome.status == "rolled-back"


async def test_undoing_that_fails_is_told_with_what_was_to_be_undone(client: Client) -> None:
    world = World("deploy", failing="remove")
    error, status = await deployed(client, world)
    assert status == WorkflowExecutionStatus.FAILED, "it is not cancelled as long as something is left of it"
    assert isinstance(error, ApplicationError)
    assert "cancelled, and undoing it failed: it broke" in error.message
    assert world.outcome
    assert world.outcome.status == "failed"


async def test_a_change_that_is_over_stays_well_when_it_is_cancelled_too_late(client: Client) -> None:
    world = World("finish")
    error, status = await deployed(client, world)
    assert (error, status) == (None, WorkflowExecutionStatus.COMPLETED)


async def test_a_plan_that_may_come_off_another_time_is_left_to_an_activity(client: Client) -> None:
    world = World(at_hand=ApplicationError("the disk is full", type="StoreUnavailable"))
    async with deploying(client, world) as handle:
        await handle.result()
    assert world.done == ["begin", "import", "analyse", "plan", "watch", "build", "deploy", "finish"]


async def test_a_plan_that_can_not_be_made_is_not_tried_again(client: Client) -> None:
    world = World(at_hand=ApplicationError("no provider has so much memory", type="NoRoom", non_retryable=True))
    async with deploying(client, world) as handle:
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()
    assert isinstance(failed.value.cause, ApplicationError)
    assert failed.value.cause.type == "NoRoom"
    assert world.done == ["begin", "import", "analyse", "finish"]
