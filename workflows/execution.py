"""Carrying out a plan: each operation starts as soon as everything it stands behind has ended well."""

import asyncio
from collections.abc import Callable
from typing import Any

from temporalio import workflow
from temporalio.exceptions import is_cancelled_exception

from activities.building import Building
from activities.deploying import Deploying
from activities.failures import failure_of
from activities.options import BUILD, DEPLOY, REMOVE, Options, undoing
from iarnet.models.change import ComponentPhase
from iarnet.models.plan import Operation, Plan
from iarnet.models.work import Effect
from workflows.reaching import on_node

OnPhase = Callable[[Operation, ComponentPhase], None]

_BEGUN: dict[str, ComponentPhase] = {
    "build": "building",
    "serve": "starting",
    "deploy": "starting",
    "ready": "starting",
    "commit": "starting",
    "remove": "removing",
    "release": "removing",
}


class Execution:
    """One pass over a plan. `begun` holds the IDs of what was begun, `failed` the operations that failed and may have
    left something, in their order.

    `undoing`: the plan takes a change back. One failure then keeps nothing from the rest but what stands behind it,
    and each operation has a deadline instead of a number of attempts.
    """

    def __init__(
        self, plan: Plan, deployment_id: str, epoch: int, on_phase: OnPhase, *, undoing: bool = False
    ) -> None:
        self.plan = plan
        self._deployment_id = deployment_id
        self._epoch = epoch
        self._on_phase = on_phase
        self._undoing = undoing
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._done: set[str] = set()
        self._failure: BaseException | None = None
        self.begun: set[str] = set()
        self.failed: list[Operation] = []

    async def run(self) -> None:
        """Raises the first failure, once everything that had begun has ended: nothing goes on behind its back.

        What has begun is let finish, so that a retry finds it done; what has not begun does not begin. Cancelled, it
        cancels what runs and waits for that, too.
        """
        self._tasks = {op.id: asyncio.create_task(self._after(op)) for op in self.plan.operations}
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        if self._failure:
            raise self._failure

    @property
    def missing(self) -> list[Operation]:
        """What has not ended well."""
        return [op for op in self.plan.operations if op.id not in self._done]

    async def _after(self, operation: Operation) -> None:
        # No deadline of its own: each operation that it waits for has one. And no condition: all of those that wait
        # would be asked after each event.
        if before := [self._tasks[id] for id in operation.after if id in self._tasks]:
            await workflow.wait(before)
        if not self._stopped and self._done.issuperset(operation.after):
            await self._carry_out(operation)

    @property
    def _stopped(self) -> bool:
        return self._failure is not None and not self._undoing

    async def _carry_out(self, operation: Operation) -> None:
        self.begun.add(operation.id)
        self._on_phase(operation, _BEGUN[operation.kind])
        try:
            await self._effect(operation)
        except BaseException as error:
            # Also when it was cancelled: whoever waits for this one must not wait for ever.
            self._failure = self._failure or error
            if not is_cancelled_exception(error):
                if failure_of(error).code != "SpecMismatch":  # what is not ours is not ours to remove
                    self.failed.append(operation)
                self._on_phase(operation, "failed")
            return
        self._done.add(operation.id)
        self._on_phase(operation, _ended(operation))

    async def _effect(self, operation: Operation) -> None:
        if operation.kind == "commit":
            return
        effect = Effect(app=self.plan.app, deployment_id=self._deployment_id, epoch=self._epoch, operation=operation)
        method, options = _METHODS[operation.kind]
        options = undoing(options) if self._undoing else options
        await on_node(operation.queue, method, effect, summary=_summary(operation), options=options)


_METHODS: dict[str, tuple[Any, Options]] = {
    "build": (Building.build_image, BUILD),
    "serve": (Deploying.serve_app, REMOVE),
    "deploy": (Deploying.deploy_instance, DEPLOY),
    "ready": (Deploying.await_instance, DEPLOY),
    "remove": (Deploying.remove_instance, REMOVE),
    "release": (Deploying.release_provider, REMOVE),
}


def _ended(operation: Operation) -> ComponentPhase:
    if operation.kind in ("remove", "release"):
        return "removed"
    if operation.kind == "build":
        return "waiting"
    return "completed" if operation.until == "completed" else "healthy"


def _summary(operation: Operation) -> str:
    what = operation.instance or operation.provider_id or operation.component
    reason = f" ({operation.reason})" if operation.reason else ""
    return f"{operation.kind} {what}{reason}"
