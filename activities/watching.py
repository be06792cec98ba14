"""What the watches do: follow a provider, mend an instance, start a change."""

from collections.abc import AsyncIterator
from typing import Any, Protocol

from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from activities.caused import BY_RESTARTING, Handling
from activities.heartbeat import heartbeating
from activities.options import QUEUE, TASK
from activities.readiness import wait_until
from activities.reconciling import begin_reconciliation
from iarnet import faults
from iarnet.errors import InstanceFailed, NotFound
from iarnet.gateway.base import Gateways
from iarnet.models.app import Event
from iarnet.models.change import ChangeRequest
from iarnet.models.instance import Instance, InstanceSpec
from iarnet.models.work import Attach, Batch, HealthWatchState, Hold, Mend, Mended
from iarnet.providers.base import Provider, Providers
from iarnet.secrets.base import Secrets
from iarnet.store.base import Clock, Store


class Monitors(Protocol):
    """The watchers of this node, one per provider."""

    def follow(self, provider_id: str, cursor: int) -> AsyncIterator[Batch]:
        """Numbered batches after `cursor`, and then as they come, also of one that is attached only later."""
        ...

    @property
    def handling(self) -> Handling: ...


class Watching:
    def __init__(
        self,
        store: Store,
        providers: Providers,
        monitors: Monitors,
        gateways: Gateways,
        client: Client,
        secrets: Secrets,
        clock: Clock,
    ) -> None:
        self._store = store
        self._providers = providers
        self._monitors = monitors
        self._gateways = gateways
        self._client = client
        self._secrets = secrets
        self._clock = clock

    @activity.defn
    async def follow_provider(self, attach: Attach) -> None:
        """Tell `provider.{id}` every batch of changes; the heartbeat carries the cursor over a crash.

        Raises `NotFound` for a provider that nobody has ever attached.
        """
        cursor = max([attach.cursor, *activity.info().heartbeat_details[:1]])
        watch = self._client.get_workflow_handle(f"provider.{attach.provider_id}")
        async with heartbeating():
            await self._require_known(attach.provider_id)
            async for batch in self._monitors.follow(attach.provider_id, cursor):
                await watch.signal("observed", batch)
                if batch.status == "active":
                    await begin_reconciliation(self._client, attach.provider_id)
                activity.heartbeat(batch.cursor)

    async def _require_known(self, provider_id: str) -> None:
        """One that is not there now is waited for: its engine may be away as the node starts."""
        known = {p.info.id for p in self._providers.all()}
        known |= {s.info.id for s in await self._store.providers.states()}
        if provider_id not in known:
            raise NotFound(f"This node does not watch {provider_id}.", where=provider_id, hint="iarnet providers ls")

    @activity.defn
    async def mend_instance(self, mend: Mend) -> Mended:
        """Restart in place what has ended or hangs. An instance that is well, or not wanted, is left alone."""
        async with heartbeating():
            spec = await self._store.instances.spec(mend.instance)
            if spec is None or (spec.kind == "job" and mend.reason != "asked"):
                return Mended(outcome="ignored")
            provider = self._providers.get(mend.provider_id)
            try:
                instance = await provider.inspect(mend.instance)
                if instance is None:
                    return Mended(outcome="gone")
                if await _is_well(mend, instance, provider, spec):
                    # Whoever has restarted it may have died over it.
                    await self._store.instances.record(instance)
                    await self._gateways.get(mend.provider_id).admit(instance)
                    return Mended(outcome="ignored")
                await self._restart(provider, spec)
            except NotFound:
                return Mended(outcome="gone")
            except InstanceFailed as error:
                # It repeats what the instance's own check has printed.
                why = self._secrets.redact(error.message)
                await self._tell(mend.app, mend.component, mend.instance, "instance.restart-failed", why)
                return Mended(outcome="failed", detail=why)
            await self._tell(
                mend.app,
                mend.component,
                mend.instance,
                "instance.restarted",
                f"{mend.component} was restarted: {_why(mend, instance)}",
            )
            return Mended(outcome="restarted")

    async def _restart(self, provider: Provider, spec: InstanceSpec) -> None:
        """Users are led elsewhere until it is ready again."""
        gateway = self._gateways.get(provider.info.id)
        await gateway.suspend(spec.name)
        faults.reached("instance.suspended")
        # Told later, that it ended would lead users away again from what is ready by then.
        async with self._monitors.handling(provider.info.id, spec.name, BY_RESTARTING):
            await provider.restart(spec.name)
        faults.reached("instance.restarted")
        instance = await wait_until(provider, spec, "healthy")
        await self._store.instances.record(instance)
        await gateway.admit(instance)

    @activity.defn
    async def give_up(self, mend: Mend) -> None:
        """Say that restarting does not help."""
        await self._store.apps.set_status(mend.app, "degraded")
        await self._tell(
            mend.app,
            mend.component,
            mend.instance,
            "instance.given-up",
            f"{mend.component} keeps failing; it is not restarted any more until the next deployment",
        )

    @activity.defn
    async def start_change(self, request: ChangeRequest) -> bool:
        """False when another change runs, which is the moment to look again later.

        Healing brings back what ran: a commit or setting that nobody has deployed yet is not its business.
        """
        if request.cause == "heal":
            app = await self._store.apps.get(request.app)
            request = request.model_copy(update={"revision": app.revision or None})
        asker = _asker()
        if asker and activity.info().attempt > 1 and await self._has_asked(asker, request.app):
            return True
        try:
            await self._client.start_workflow(
                "StopApp" if request.cause == "stop" else "DeployApp",
                request,
                id=f"change.{request.app}",
                task_queue=QUEUE,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                static_summary=f"{request.cause} {request.app}",
                task_timeout=TASK,
                memo={"asker": asker},
            )
        except WorkflowAlreadyStartedError:
            return False
        return True

    async def _has_asked(self, asker: str, app: str) -> bool:
        """Whether the newest change is one that this asker has started, and may have died over."""
        try:
            newest = await self._client.get_workflow_handle(f"change.{app}").describe()
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:
                return False
            raise
        return bool(await newest.memo_value("asker", "") == asker)

    @activity.defn
    async def change_is_open(self, app: str, run_id: str) -> bool:
        """Whether the change that holds components still runs."""
        try:
            description = await self._client.get_workflow_handle(f"change.{app}", run_id=run_id).describe()
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:
                return False
            raise
        return description.status == WorkflowExecutionStatus.RUNNING

    @activity.defn
    async def ensure_watch(self, app: str, hold: Hold | None = None) -> None:
        """`watch.{app}` runs, and has heard of the `hold`."""
        told: dict[str, Any] = {"start_signal": "hold", "start_signal_args": [hold]} if hold else {}
        await self._client.start_workflow(
            "HealthWatch",
            HealthWatchState(app=app),
            id=f"watch.{app}",
            task_queue=QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            static_summary=f"keeps {app} running",
            **told,
        )

    @activity.defn
    async def tell_watch(self, app: str, hold: Hold | None = None) -> None:
        """The watch has heard of the `hold`, or without one that it is to end. An app that never ran has none."""
        watch = self._client.get_workflow_handle(f"watch.{app}")
        try:
            await (watch.signal("hold", hold) if hold else watch.signal("end"))
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise

    @activity.defn
    async def home_of(self, provider_id: str) -> str:
        """The node that can reach it. Raises `NotFound`."""
        states = {s.info.id: s for s in await self._store.providers.states()}
        if provider_id not in states:
            raise NotFound(f"There is no provider {provider_id}.", where=provider_id, hint="iarnet providers ls")
        return states[provider_id].info.home

    @activity.defn
    async def apps_on(self, provider_id: str) -> list[str]:
        """The apps that have instances there."""
        return sorted({i.app for i in await self._store.instances.list(provider_id=provider_id)})

    @activity.defn
    async def targets(self, app: str, component: str) -> list[Mend]:
        """What a person's `restart` means: every instance, or those of one component. Raises `NotFound`."""
        found = [
            Mend(app=app, component=i.component, instance=i.name, provider_id=i.provider_id, reason="asked")
            for i in await self._store.instances.list(app=app)
            if component in ("", i.component) and i.state == "running"
        ]
        if not found:
            raise NotFound(
                f"Nothing of {app}{' ' + component if component else ''} runs.",
                where=component or app,
                hint=f"iarnet status {app} shows what there is; iarnet start {app} starts it.",
            )
        return found

    async def _tell(self, app: str, component: str, instance: str, kind: str, message: str) -> None:
        await self._store.facts.add_event(
            Event(time=self._clock(), app=app, component=component, instance=instance, kind=kind, message=message)
        )


def _asker() -> str:
    """The same again when an activity is repeated; nobody outside of one."""
    if not activity.in_activity():
        return ""
    info = activity.info()
    return f"{info.workflow_run_id}/{info.activity_id}"


async def _is_well(mend: Mend, instance: Instance, provider: Provider, spec: InstanceSpec) -> bool:
    """What is told of an instance may be over by now."""
    if instance.state != "running" or mend.reason == "asked":
        return False
    if mend.reason == "died":
        return True
    return spec.health is None or (await provider.probe(instance.name, spec.health)).ready


def _why(mend: Mend, before: Instance) -> str:
    if mend.reason == "asked":
        return "somebody asked for it"
    if mend.reason == "unhealthy":
        return "it stopped answering"
    return f"it {before.end}"
