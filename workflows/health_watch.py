"""`HealthWatch`, under the ID `watch.{app}`, while the app is deployed.

It is the only one that may restart an instance outside of a change, in place: same name, provider and spec. So
healing needs no lock and never waits for a deployment; a change first takes the components it touches (`hold`).
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial

from temporalio import workflow
from temporalio.exceptions import ActivityError, FailureError, is_cancelled_exception

from activities.failures import application_error, failure_of
from activities.options import LOOK, MEND, QUEUE, WATCH, node_queue
from activities.watching import Watching
from iarnet.errors import InstanceFailed
from iarnet.models.change import ChangeRequest, RestartRequest
from iarnet.models.provider import ProviderEvent
from iarnet.models.work import Batch, HealthWatchState, Hold, Mend, Mended, Restarts
from workflows.attributes import found_by
from workflows.identity import require_id
from workflows.refusals import one_input

# Five restarts in ten minutes, the first at once, then 1 s, 2 s, 4 s … apart: a crash costs nothing, a loop little.
_BUDGET = 5
_WINDOW_S = 600.0
_HOLD_CHECK_S = 30.0
_BUSY_S = 10.0
_BAD = ("died", "oom", "unhealthy", "removed")
# Names of tasks besides those of instances, which have dashes and no dots.
_CHANGE = "start.change"
_PAUSE = "pause.change"
_GUARD = "guard.holds"
# Patches: runs that began before them go on as they did (`HealthWatch-unheard` in `tests/replay/histories`).
_HOLD_AFTER_END = "a hold after the end begins anew"
_FAILURES_COUNT = "what fails is told or tried again"


@workflow.defn
class HealthWatch:
    @one_input
    def __init__(self, state: HealthWatchState) -> None:
        self._app = state.app
        self._know(state)
        self._asked: set[str] = set()
        self._ended = False
        # A change began after the end: the app will run, and wants to be watched.
        self._wanted = False
        # In the order in which they began: the order in which they are cancelled must be the same in a replay.
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def _know(self, state: HealthWatchState) -> None:
        self._holds: dict[str, Hold] = {hold.run_id: hold for hold in state.holds}
        self._restarts: dict[str, Restarts] = {r.instance: r for r in state.restarts}
        # The newest of each instance: while it is mended, or held, more may happen to it.
        self._pending: dict[str, ProviderEvent] = {e.instance.name: e for e in state.pending}
        self._lost: set[str] = set(state.lost)
        self._heal: ChangeRequest | None = state.heal

    @workflow.run
    async def run(self, state: HealthWatchState) -> None:
        require_id(f"watch.{state.app}")
        found_by(app=state.app)
        while True:
            await self._watch()
            await self._finish_up()
            if not self._wanted:
                return
            self._ended = self._wanted = False

    @workflow.signal
    def observed(self, news: Batch) -> None:
        """Instances changed on a provider, or the provider itself went or came back."""
        self._pending |= {e.instance.name: e for e in news.events if e.kind in _BAD}
        if news.status == "unreachable":
            self._lost.add(news.provider_id)
            self._heal = ChangeRequest(
                app=self._app, cause="migrate", fetch=False, avoid_providers=tuple(sorted(self._lost))
            )
        if news.status == "active":
            self._lost.discard(news.provider_id)
            self._heal = ChangeRequest(app=self._app, cause="heal", fetch=False)

    @workflow.signal
    def hold(self, hold: Hold) -> None:
        """A change takes components, or gives them back; what it holds is not mended meanwhile."""
        if not hold.release:
            if self._ended and not self._wanted and workflow.patched(_HOLD_AFTER_END):
                # What was known is of instances that are gone.
                self._know(HealthWatchState(app=self._app))
                self._wanted = True
            self._holds[hold.run_id] = hold
            return
        self._holds.pop(hold.run_id, None)
        since = workflow.time() - _WINDOW_S
        recent = {k: r for k, r in self._restarts.items() if not r.given_up and max(r.times, default=0.0) > since}
        self._restarts = recent

    @workflow.signal
    def end(self) -> None:
        """The app is stopped or deleted."""
        self._ended, self._wanted = True, False

    @workflow.update
    async def restart(self, request: RestartRequest) -> int:
        """Restart instances in place; how many. Fails when one does not come up again."""
        targets = await workflow.execute_activity_method(
            Watching.targets, args=[self._app, request.component], task_queue=QUEUE, **LOOK
        )
        # Its end is what was asked for, and no reason to restart it once more.
        asked = {mend.instance for mend in targets} - self._asked
        self._asked |= asked
        try:
            ended = await asyncio.gather(*(self._restart(mend) for mend in targets))
        finally:
            self._asked -= asked
        failed = [mend for mend, mended in zip(targets, ended, strict=True) if mended.outcome == "failed"]
        if failed:
            detail = next(mended.detail for mended in ended if mended.outcome == "failed")
            raise application_error(
                InstanceFailed(
                    f"{', '.join(mend.instance for mend in failed)} did not come up again: {detail}",
                    component=failed[0].component,
                    hint=f"iarnet logs {self._app}",
                )
            )
        return len(targets)

    @workflow.query
    def state(self) -> HealthWatchState:
        return self._state()

    async def _watch(self) -> None:
        while not self._ended:
            workflow.set_current_details(self._details())
            await workflow.wait_condition(self._has_work)
            self._begin_what_can_be()
            if self._may_renew():
                await self._finish_up()
                if not self._ended:
                    workflow.continue_as_new(self._state())

    def _has_work(self) -> bool:
        unguarded = bool(self._holds) and _GUARD not in self._tasks
        return self._ended or unguarded or bool(self._free()) or self._may_change() or self._may_renew()

    def _free(self) -> list[ProviderEvent]:
        held = self._held()
        busy = self._tasks.keys() | self._asked
        return [e for name, e in self._pending.items() if name not in busy and e.instance.component not in held]

    def _held(self) -> set[str]:
        return {component for hold in self._holds.values() for component in hold.components}

    def _may_change(self) -> bool:
        return self._heal is not None and not self._holds and not self._tasks.keys() & {_CHANGE, _PAUSE}

    def _may_renew(self) -> bool:
        """The history is long, and nothing is under way that a new run would not know of."""
        return workflow.info().is_continue_as_new_suggested() and not self._tasks.keys() - {_PAUSE, _GUARD}

    def _begin_what_can_be(self) -> None:
        if self._ended:
            return
        for event in self._free():
            del self._pending[event.instance.name]
            self._begin(event.instance.name, partial(self._mend, event))
        if self._may_change():
            self._begin(_CHANGE, self._start_change)
        if self._holds and _GUARD not in self._tasks:
            self._begin(_GUARD, self._guard)

    def _begin(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.create_task(self._carefully(name, work))
        self._tasks[name] = task
        task.add_done_callback(lambda _: self._forget(name))

    def _forget(self, name: str) -> None:
        del self._tasks[name]
        workflow.set_current_details(self._details())

    async def _carefully(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """What goes wrong with one thing must not end the watch over all others, nor go unheard."""
        try:
            await work()
        except FailureError as error:
            if not is_cancelled_exception(error):
                _tell(name, error)

    async def _finish_up(self) -> None:
        for task in list(self._tasks.values()):
            task.cancel()
        await workflow.wait_condition(lambda: not self._tasks and workflow.all_handlers_finished())

    def _is_over(self) -> bool:
        """Asked after an activity: one that ends well although it was cancelled leaves its caller uncancelled."""
        return self._ended and workflow.patched(_FAILURES_COUNT)

    async def _mend(self, event: ProviderEvent) -> None:
        """Until it is well again, or the budget is spent."""
        instance = event.instance
        mend = Mend(
            app=self._app,
            component=instance.component,
            instance=instance.name,
            provider_id=instance.provider_id,
            reason="unhealthy" if event.kind == "unhealthy" else "died",
        )
        while (pause := self._pause(instance.name)) is not None:
            if pause:
                await asyncio.sleep(pause)
            await workflow.wait_condition(lambda: instance.component not in self._held())
            mended = await self._restart(mend)
            if self._is_over():
                return
            if mended.outcome == "gone":
                self._heal = self._heal or ChangeRequest(app=self._app, cause="heal", fetch=False)
            if mended.outcome == "ignored":
                self._give_back(instance.name)
            if mended.outcome != "failed":
                return
        await self._give_up(mend)

    def _pause(self, name: str) -> float | None:
        """Seconds until the next restart of this instance; None when its budget is spent. Takes one of the budget."""
        now = workflow.time()
        before = self._restarts.get(name, Restarts(instance=name))
        recent = tuple(t for t in before.times if now - t < _WINDOW_S)
        if before.given_up or len(recent) >= _BUDGET:
            return None
        self._restarts[name] = Restarts(instance=name, times=(*recent, now))
        return float(2 ** (len(recent) - 1)) if recent else 0.0

    async def _give_up(self, mend: Mend) -> None:
        """Said once, until a change gives it another chance."""
        spent = self._restarts.get(mend.instance, Restarts(instance=mend.instance))
        if not spent.given_up:
            self._restarts[mend.instance] = spent.model_copy(update={"given_up": True})
            try:
                await workflow.execute_activity_method(Watching.give_up, mend, task_queue=QUEUE, **WATCH)
            except FailureError:
                # Said the next time, then. A release may have cleared it meanwhile.
                if mend.instance in self._restarts and workflow.patched(_FAILURES_COUNT):
                    self._restarts[mend.instance] = spent
                raise

    def _give_back(self, name: str) -> None:
        """Nothing was wrong after all: it costs nothing of the budget. A release may have cleared it meanwhile."""
        taken = self._restarts.pop(name, Restarts(instance=name))
        if taken.times[:-1]:
            self._restarts[name] = taken.model_copy(update={"times": taken.times[:-1]})

    async def _restart(self, mend: Mend) -> Mended:
        """A provider that can't be asked counts as a restart that did not help."""
        try:
            return await workflow.execute_activity_method(
                Watching.mend_instance,
                mend,
                task_queue=await self._queue(mend.provider_id),
                summary=f"restart {mend.instance}: {mend.reason}",
                **MEND,
            )
        except FailureError as error:
            # That of a local activity comes as it is.
            counts = isinstance(error, ActivityError) or workflow.patched(_FAILURES_COUNT)
            if is_cancelled_exception(error) or not counts:
                raise
            return Mended(outcome="failed", detail=failure_of(error).message)

    async def _queue(self, provider_id: str) -> str:
        home = await workflow.execute_local_activity_method(
            Watching.home_of, provider_id, start_to_close_timeout=timedelta(seconds=10)
        )
        return node_queue(home)

    async def _start_change(self) -> None:
        """What can't be mended in place is a change; one that can't be started now is asked for again afterwards."""
        request, self._heal = self._heal, None
        assert request is not None, "called only when there is one"
        if await self._has_started(request) or self._is_over():
            return
        self._heal = self._heal or request
        if workflow.patched(_FAILURES_COUNT):
            # A task of its own, as a new run needn't know of it: else one that never starts would grow this one.
            self._begin(_PAUSE, partial(workflow.sleep, _BUSY_S))
        else:
            await workflow.sleep(_BUSY_S)

    async def _has_started(self, request: ChangeRequest) -> bool:
        try:
            return await workflow.execute_activity_method(
                Watching.start_change, request, task_queue=QUEUE, summary=f"start a change: {request.cause}", **WATCH
            )
        except FailureError as error:
            if is_cancelled_exception(error) or not workflow.patched(_FAILURES_COUNT):
                raise
            _tell(_CHANGE, error)
            return False

    async def _guard(self) -> None:
        """A change that was terminated never gives back: then the app is brought to a known state again."""
        while self._holds and not self._is_over():
            await workflow.sleep(_HOLD_CHECK_S)
            for hold in list(self._holds.values()):
                if not await self._still_runs(hold) and hold.run_id in self._holds:
                    del self._holds[hold.run_id]
                    self._heal = self._heal or ChangeRequest(app=self._app, cause="recover", fetch=False)

    async def _still_runs(self, hold: Hold) -> bool:
        return await workflow.execute_activity_method(
            Watching.change_is_open, args=[self._app, hold.run_id], task_queue=QUEUE, **WATCH
        )

    def _state(self) -> HealthWatchState:
        return HealthWatchState(
            app=self._app,
            holds=tuple(self._holds.values()),
            restarts=tuple(self._restarts.values()),
            pending=tuple(self._pending.values()),
            lost=tuple(sorted(self._lost)),
            heal=self._heal,
        )

    def _details(self) -> str:
        """Markdown for the web UI."""
        held = sorted(self._held())
        lines = [f"**{self._app}** is watched" + (f"; a change holds {', '.join(held)}" if held else ""), ""]
        if self._lost:
            lines += [f"lost: {', '.join(sorted(self._lost))}", ""]
        if self._restarts:
            lines += ["| instance | restarts | |", "|---|---|---|"]
            lines += [
                f"| {name} | {len(r.times)} | {self._mood(name, r)} |" for name, r in sorted(self._restarts.items())
            ]
        return "\n".join(lines)

    def _mood(self, name: str, restarts: Restarts) -> str:
        if restarts.given_up:
            return "❌ given up"
        return "⏳ being restarted" if name in self._tasks else "✅ restarted"


def _tell(name: str, error: FailureError) -> None:
    workflow.logger.warning("%s: %s", name, failure_of(error).message)
