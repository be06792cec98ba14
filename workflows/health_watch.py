"""`HealthWatch`, under the ID `watch.{app}`, while the app is deployed.

It is the only one that may restart an instance outside of a change, in place: same name, provider and spec. So
healing needs no lock and never waits for a deployment; a change first takes the components it touches (`hold`).
"""

import asyncio
from datetime import timedelta

from temporalio import workflow

from activities.options import MEND, QUEUE, RECORD, node_queue
from activities.watching import Watching
from iarnet.models.change import ChangeRequest, RestartRequest
from iarnet.models.provider import ProviderEvent
from iarnet.models.work import Batch, HealthWatchState, Hold, Mend, Mended, Restarts
from workflows.identity import require_id

# Five restarts in ten minutes, the first at once, then 1 s, 2 s, 4 s … apart: a crash costs nothing, a loop little.
_BUDGET = 5
_WINDOW_S = 600.0
_HOLD_CHECK_S = 30.0
_BUSY_S = 10.0
_BAD = ("died", "oom", "unhealthy", "removed")


@workflow.defn
class HealthWatch:
    @workflow.init
    def __init__(self, state: HealthWatchState) -> None:
        self._app = state.app
        self._holds: dict[str, Hold] = {hold.run_id: hold for hold in state.holds}
        self._restarts: dict[str, Restarts] = {r.instance: r for r in state.restarts}
        self._pending: list[ProviderEvent] = list(state.pending)
        self._lost: set[str] = set(state.lost)
        self._mending: set[str] = set()
        self._heal: ChangeRequest | None = None
        self._ended = False
        self._tasks: set[asyncio.Task[None]] = set()

    @workflow.run
    async def run(self, state: HealthWatchState) -> None:
        require_id(f"watch.{state.app}")
        while not self._ended:
            await workflow.wait_condition(self._has_work)
            if self._ended:
                break
            self._mend_what_is_free()
            if self._heal and not self._holds:
                await self._start_change()
            if workflow.info().is_continue_as_new_suggested() and not self._mending:
                await workflow.wait_condition(workflow.all_handlers_finished)
                workflow.continue_as_new(self._state())
        for task in self._tasks:
            task.cancel()
        await workflow.wait_condition(workflow.all_handlers_finished)

    @workflow.signal
    def observed(self, news: Batch) -> None:
        """Instances changed on a provider, or the provider itself went or came back."""
        self._pending += [e for e in news.events if e.kind in _BAD]
        if news.status == "unreachable":
            self._lost.add(news.provider_id)
            self._heal = ChangeRequest(
                app=self._app, cause="migrate", fetch=False, avoid_providers=tuple(sorted(self._lost))
            )
        if news.status == "active":
            self._lost.discard(news.provider_id)
            self._heal = ChangeRequest(app=self._app, cause="heal", fetch=False)

    @workflow.signal
    async def hold(self, hold: Hold) -> None:
        """A change takes components, or gives them back; what it holds is not mended meanwhile."""
        if hold.release:
            self._holds.pop(hold.run_id, None)
            touched = set(hold.components)
            self._restarts = {k: r for k, r in self._restarts.items() if not r.given_up and k not in touched}
            return
        self._holds[hold.run_id] = hold
        await self._until_released(hold)

    @workflow.signal
    def end(self) -> None:
        """The app is stopped or deleted."""
        self._ended = True

    @workflow.update
    async def restart(self, request: RestartRequest) -> int:
        """Restart instances in place; how many."""
        targets = await workflow.execute_activity_method(
            Watching.targets, args=[self._app, request.component], task_queue=QUEUE, **RECORD
        )
        await asyncio.gather(*(self._restart(mend) for mend in targets))
        return len(targets)

    @workflow.query
    def state(self) -> HealthWatchState:
        return self._state()

    def _has_work(self) -> bool:
        free = any(not self._held(e.instance.component) for e in self._pending)
        suggested = workflow.info().is_continue_as_new_suggested() and not self._mending
        return self._ended or free or suggested or (self._heal is not None and not self._holds)

    def _held(self, component: str) -> bool:
        return any(component in hold.components for hold in self._holds.values())

    def _mend_what_is_free(self) -> None:
        for event in [e for e in self._pending if not self._held(e.instance.component)]:
            self._pending.remove(event)
            if event.instance.name not in self._mending:
                self._mending.add(event.instance.name)
                task = asyncio.create_task(self._mend(event))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _mend(self, event: ProviderEvent) -> None:
        """Until it is well again, or the budget is spent."""
        instance = event.instance
        reason = {"oom": "it ran out of memory", "unhealthy": "it stopped answering"}.get(event.kind, "died")
        mend = Mend(
            app=self._app,
            component=instance.component,
            instance=instance.name,
            provider_id=instance.provider_id,
            reason=reason,
        )
        try:
            while (pause := self._pause(instance.name)) is not None:
                if pause:
                    await asyncio.sleep(pause)
                mended = await self._restart(mend)
                if mended.outcome == "gone":
                    self._heal = self._heal or ChangeRequest(app=self._app, cause="heal", fetch=False)
                if mended.outcome == "ignored":
                    self._give_back(instance.name)
                if mended.outcome != "failed":
                    return
            await workflow.execute_activity_method(Watching.give_up, mend, task_queue=QUEUE, **RECORD)
        finally:
            self._mending.discard(instance.name)

    def _pause(self, name: str) -> float | None:
        """Seconds until the next restart of this instance; None when its budget is spent. Takes one of the budget."""
        now = workflow.time()
        before = self._restarts.get(name, Restarts(instance=name))
        recent = tuple(t for t in before.times if now - t < _WINDOW_S)
        if len(recent) >= _BUDGET:
            self._restarts[name] = before.model_copy(update={"times": recent, "given_up": True})
            return None
        self._restarts[name] = Restarts(instance=name, times=(*recent, now))
        return float(2 ** (len(recent) - 1)) if recent else 0.0

    def _give_back(self, name: str) -> None:
        """Nothing was wrong after all: it costs nothing of the budget."""
        taken = self._restarts[name]
        self._restarts[name] = taken.model_copy(update={"times": taken.times[:-1]})

    async def _restart(self, mend: Mend) -> Mended:
        return await workflow.execute_activity_method(
            Watching.mend_instance,
            mend,
            task_queue=await self._queue(mend.provider_id),
            summary=f"restart {mend.instance}: {mend.reason}",
            **MEND,
        )

    async def _queue(self, provider_id: str) -> str:
        home = await workflow.execute_local_activity_method(
            Watching.home_of, provider_id, start_to_close_timeout=timedelta(seconds=10)
        )
        return node_queue(home)

    async def _start_change(self) -> None:
        """What can't be mended in place is a change; when one runs already, it is asked again afterwards."""
        request, self._heal = self._heal, None
        assert request is not None, "called only when there is one"
        started = await workflow.execute_activity_method(
            Watching.start_change, request, task_queue=QUEUE, summary=f"start a change: {request.cause}", **RECORD
        )
        if not started:
            await workflow.sleep(_BUSY_S)
            self._heal = self._heal or request

    async def _until_released(self, hold: Hold) -> None:
        """A change that was terminated never gives back: then the app is brought to a known state again."""
        while hold.run_id in self._holds and not self._ended:
            try:
                await workflow.wait_condition(
                    lambda: hold.run_id not in self._holds or self._ended, timeout=timedelta(seconds=_HOLD_CHECK_S)
                )
            except TimeoutError:
                if not await self._still_runs(hold):
                    self._holds.pop(hold.run_id, None)
                    self._heal = self._heal or ChangeRequest(app=self._app, cause="recover", fetch=False)

    async def _still_runs(self, hold: Hold) -> bool:
        return await workflow.execute_activity_method(
            Watching.change_is_open, args=[self._app, hold.run_id], task_queue=QUEUE, **RECORD
        )

    def _state(self) -> HealthWatchState:
        return HealthWatchState(
            app=self._app,
            holds=tuple(self._holds.values()),
            restarts=tuple(self._restarts.values()),
            pending=tuple(self._pending),
            lost=tuple(sorted(self._lost)),
        )
