"""How often a provider is looked at. The look itself is played; its own tests are in tests/unit/activities."""

from collections.abc import Sequence
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.options import QUEUE, node_queue
from iarnet.models.reconciliation import Finding, ProviderReport, Reconciliation
from workflows import reconcile
from workflows.reconcile import Reconcile

NODE = "here"
REMOVED = Finding(kind="instance", name="a", app="gone", action="remove", reason="gone is gone", outcome="done")
BUSY = Finding(kind="application", name="shop", app="shop", action="wait", reason="a change of it is under way")
TOLD = Finding(kind="instance", name="b", app="shop", action="heal", reason="it is lost", outcome="left")
HEALED = TOLD.model_copy(update={"outcome": "done"})
STUCK = Finding(kind="network", name="c", app="gone", action="remove", reason="gone is gone", outcome="failed")


class World:
    """`seen`: what each look finds, and does."""

    def __init__(self, *seen: Sequence[Finding]) -> None:
        self._seen = list(seen)
        self.left: list[int] = []

    @activity.defn
    async def home_of(self, provider_id: str) -> str:
        return NODE

    @activity.defn
    async def reconcile_provider(self, order: Reconciliation) -> ProviderReport:
        self.left.append(order.looks)
        return ProviderReport(provider_id=order.provider_id, findings=tuple(self._seen.pop(0)))


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "_PAUSE_S", 0.01)


async def report(client: Client, world: World, **order: Any) -> list[Finding]:
    activities = [world.home_of, world.reconcile_provider]
    plain = UnsandboxedWorkflowRunner()  # it sees how short a pause is here
    async with (
        Worker(client, task_queue=QUEUE, workflows=[Reconcile], activities=activities, workflow_runner=plain),
        Worker(client, task_queue=node_queue(NODE), activities=activities),
    ):
        asked = Reconciliation(provider_id="box", **order)
        run = await client.start_workflow("Reconcile", asked, id="reconcile.box", task_queue=QUEUE)
        return list(ProviderReport.model_validate(await run.result()).findings)


async def test_while_somebody_else_is_at_it_it_is_looked_at_again(client: Client) -> None:
    world = World([REMOVED, BUSY, TOLD], [BUSY], [HEALED])
    assert await report(client, world, looks=4) == [REMOVED, HEALED]
    assert world.left == [4, 3, 2]


async def test_not_for_ever(client: Client) -> None:
    world = World([BUSY], [TOLD])
    assert await report(client, world, looks=2) == [TOLD]
    assert world.left == [2, 1]


@pytest.mark.parametrize("seen", [[], [STUCK], [REMOVED]], ids=["well", "failed", "done"])
async def test_what_nobody_is_at_is_looked_at_once(client: Client, seen: list[Finding]) -> None:
    world = World(seen)
    assert await report(client, world, looks=3) == seen
    assert world.left == [3]


async def test_nor_when_nothing_is_to_be_done(client: Client) -> None:
    assert await report(client, World([BUSY]), looks=3, dry_run=True) == [BUSY]
