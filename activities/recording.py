"""The beginning and the end of a change, in the store."""

from collections.abc import Awaitable, Callable

from temporalio import activity

from activities.placing import Carrier
from iarnet import faults
from iarnet.models.app import AppStatus, Event
from iarnet.models.change import AnalyzeRequest, Begin, ChangeResult, Deployment
from iarnet.models.instance import Instance
from iarnet.models.traffic import Service
from iarnet.models.work import Outcome
from iarnet.store.base import Clock, Store
from iarnet.tracing import trace_id


class Recording:
    """`carrier` says which node carries a change out, `publish_host` is what a person types to reach a port that is
    published here.

    `unnamed` hears of each host that was a domain of an app that is gone.
    """

    def __init__(
        self,
        store: Store,
        carrier: Carrier,
        publish_host: str,
        clock: Clock,
        unnamed: Callable[[str], Awaitable[None]],
    ) -> None:
        self._store = store
        self._carrier = carrier
        self._host = publish_host
        self._clock = clock
        self._unnamed = unnamed

    @activity.defn
    async def begin_change(self, begin: Begin) -> Deployment:
        """Raise the app's epoch and record the deployment; the same run gets the same one again."""
        node = await self._carrier(begin.app)
        deployment = await self._store.facts.begin(begin.model_copy(update={"node": node, "trace": trace_id()}))
        faults.reached("deployment.begun")
        await self._tell(deployment, "change.begun", f"{begin.cause}: deployment {deployment.id} began")
        return deployment

    @activity.defn
    async def analysed_commit(self, request: AnalyzeRequest) -> str:
        """The commit, or without one the newest, if it is known what is in it; else nothing."""
        source = await self._store.facts.source(request.app, request.commit)
        analysis = await self._store.facts.analysis(request.app, source.part) if source else None
        return source.commit if source and analysis else ""

    @activity.defn
    async def finish_change(self, outcome: Outcome) -> ChangeResult:
        """Record how it ended, what runs now, and who may forget what."""
        deployment = outcome.deployment
        domains = await self._store.domains.list(deployment.app)
        await self._store.facts.finish(deployment.id, outcome.status, outcome.progress, outcome.failure)
        faults.reached("deployment.finished")
        running = await self._store.instances.list(app=deployment.app)
        await self._give_back(outcome, running)
        if outcome.kind == "delete" and outcome.status == "succeeded":
            faults.reached("app.deleted")
            for domain in domains:
                await self._unnamed(domain.host)
        else:
            await self._settle(outcome, running)
        why = f": {outcome.failure.message}" if outcome.failure else ""
        if left := outcome.progress.not_undone:
            why += f"; not undone: {'; '.join(left)}"
        await self._tell(deployment, f"change.{outcome.status}", f"deployment {deployment.id} {outcome.status}{why}")
        return ChangeResult(
            app=deployment.app,
            deployment_id=deployment.id,
            revision=outcome.progress.revision,
            status=outcome.status,
            addresses=self._addresses(running, await self._store.traffic.services(deployment.app)),
            duration_s=outcome.duration_s,
            notes=outcome.notes,
        )

    async def _give_back(self, outcome: Outcome, running: list[Instance]) -> None:
        """What was reserved for this change and never used, or by what is gone. An app that ran once keeps its ports,
        stopped or not."""
        deployment = outcome.deployment
        there = {instance.name for instance in running}
        leases = await self._store.ledger.leases(app=deployment.app)
        unused = [x.id for x in leases if x.state == "reserved" and x.epoch == deployment.epoch]
        left = [x.id for x in leases if x.state == "active" and x.instance not in there]
        if unused or left:
            await self._store.ledger.release([*unused, *left])
        if outcome.status == "succeeded":
            return  # an app that is deleted may be gone by now
        app = await self._store.apps.get(deployment.app)
        if not (running or app.revision):
            await self._store.ledger.release_ports(deployment.app)

    async def _settle(self, outcome: Outcome, running: list[Instance]) -> None:
        deployment = outcome.deployment
        apps = self._store.apps
        if outcome.status == "succeeded" and outcome.kind == "deploy":
            revision = await self._store.facts.revision(deployment.app, outcome.progress.revision)
            assert revision is not None, "a deployed revision is stored"
            await apps.set_running(deployment.app, revision.number, revision.commit, deployment.epoch)
            faults.reached("revision.running")
        else:
            await apps.set_status(deployment.app, _status(outcome, running), deployment.epoch)

    def _addresses(self, running: list[Instance], services: list[Service]) -> dict[str, str]:
        """Of what the instances publish themselves, and of what the gateway does for them."""
        direct = [(instance.component, port.host_port) for instance in running for port in instance.ports]
        served = [(service.component, service.host_port) for service in services]
        return {component: f"http://{self._host}:{port}" for component, port in (*direct, *served) if port}

    async def _tell(self, deployment: Deployment, kind: str, message: str) -> None:
        data = {"trace": deployment.trace} if deployment.trace else {}
        event = Event(time=self._clock(), app=deployment.app, kind=kind, message=message, data=data)
        await self._store.facts.add_event(event)


def _status(outcome: Outcome, running: list[Instance]) -> AppStatus:
    if outcome.status == "succeeded":
        return "stopped" if outcome.kind == "stop" else "running"
    if outcome.status == "failed":
        return "failed"
    return "running" if running else "stopped"
