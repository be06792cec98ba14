"""Carrying out a plan: each operation starts as soon as everything it stands behind has ended well."""

import asyncio
from collections.abc import Callable
from typing import Any

from temporalio import workflow
from temporalio.exceptions import is_cancelled_exception

from activities.building import Building
from activities.deploying import Deploying
from activities.failures import failure_of
from activities.options import BUILD, DEPLOY, REMOVE, Options
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
    "remove": "removing",
    "release": "removing",
}


class Execution:
    """One pass over a plan. `failed` lists the operations that failed and may have left something, in their order."""

    def __init__(self, plan: Plan, deployment_id: str, epoch: int, on_phase: OnPhase) -> None:
        self._plan = plan
        self._deployment_id = deployment_id
        self._epoch = epoch
        self._on_phase = on_phase
        self._done: dict[str, bool] = {op.id: False for op in plan.operations}
        self._failure: BaseException | None = None
        self.failed: list[Operation] = []

    async def run(self) -> None:
        """Raises the first failure, once everything that had begun has ended: nothing goes on behind its back.

        What has begun is let finish, so that a retry finds it done; what has not begun does not begin. Cancelled, it
        cancels what runs and waits for that, too.
        """
        tasks = [asyncio.create_task(self._after(op)) for op in self._plan.operations]
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._failure:
            raise self._failure

    async def _after(self, operation: Operation) -> None:
        await workflow.wait_condition(
            lambda: self._failure is not None or all(self._done[need] for need in operation.after)
        )
        if self._failure:
            return
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
        self._done[operation.id] = True
        self._on_phase(operation, _ended(operation))

    async def _effect(self, operation: Operation) -> None:
        effect = Effect(app=self._plan.app, deployment_id=self._deployment_id, epoch=self._epoch, operation=operation)
        method, options = _METHODS[operation.kind]
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
