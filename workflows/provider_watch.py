"""`ProviderWatch`, under the ID `provider.{id}`, as long as the provider is registered."""

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from activities.options import FOLLOW, QUEUE, WATCH, watches_queue
from activities.watching import Watching
from iarnet.models.work import Attach, Batch, ProviderWatchState
from workflows.attributes import found_by
from workflows.identity import require_id
from workflows.refusals import one_input


@workflow.defn
class ProviderWatch:
    """Hears numbered batches from the node's watcher of one provider, and tells the watches of the apps concerned."""

    @one_input
    def __init__(self, state: ProviderWatchState) -> None:
        self._state = state
        self._newest = state.cursor
        self._inbox: list[Batch] = []
        self._ended = False
        self._moved = False

    @workflow.run
    async def run(self, state: ProviderWatchState) -> None:
        require_id(f"provider.{state.provider_id}")
        found_by(node=state.home)
        self._describe()
        following = workflow.start_activity_method(
            Watching.follow_provider,
            Attach(provider_id=state.provider_id, session=workflow.info().run_id, cursor=state.cursor),
            task_queue=watches_queue(state.home),
            summary=f"follow {state.provider_id}",
            **FOLLOW,
        )
        while self._stays() and not workflow.info().is_continue_as_new_suggested():
            await workflow.wait_condition(lambda: bool(self._inbox) or not self._stays() or following.done())
            await self._hear_all()
            if following.done() and self._stays():
                await following  # it never ends well: a watch that hears nothing must not look like one that does
        following.cancel()
        await workflow.wait([following])
        await self._hear_all()
        if not self._ended:
            workflow.continue_as_new(self._state)

    @workflow.signal
    def observed(self, batch: Batch) -> None:
        """The same batch may come twice: the activity that tells them is repeated after a crash."""
        if batch.cursor > self._newest:
            self._newest = batch.cursor
            self._inbox.append(batch)

    @workflow.signal
    def at(self, home: str) -> None:
        """The provider is attached, by the node of this name. It may have been followed by another, or removed."""
        self._moved = self._moved or self._ended or home != self._state.home
        self._ended = False
        self._state = self._state.model_copy(update={"home": home})

    @workflow.signal
    def end(self) -> None:
        """The provider is no longer registered."""
        self._ended = True

    @workflow.query
    def state(self) -> ProviderWatchState:
        return self._state

    def _stays(self) -> bool:
        return not (self._ended or self._moved)

    async def _hear_all(self) -> None:
        while self._inbox:
            await self._hear(self._inbox.pop(0))

    async def _hear(self, batch: Batch) -> None:
        apps = {event.instance.app for event in batch.events}
        changed = batch.status is not None and batch.status != self._state.status
        if changed:
            apps |= set(await self._apps())
        for app in sorted(apps):
            events = tuple(e for e in batch.events if e.instance.app == app)
            news = batch.model_copy(update={"events": events, "status": batch.status if changed else None})
            await self._tell(app, news)
        status = batch.status or self._state.status
        self._state = self._state.model_copy(update={"cursor": batch.cursor, "status": status})
        self._describe()

    def _describe(self) -> None:
        """For the web UI."""
        state = self._state
        workflow.set_current_details(f"**{state.provider_id}** is {state.status}; heard up to {state.cursor}")

    async def _apps(self) -> list[str]:
        return await workflow.execute_activity_method(
            Watching.apps_on, self._state.provider_id, task_queue=QUEUE, **WATCH
        )

    async def _tell(self, app: str, news: Batch) -> None:
        try:
            await workflow.get_external_workflow_handle(f"watch.{app}").signal("observed", news)
        except ApplicationError as error:
            workflow.logger.debug("nobody watches %s: %s", app, error)
