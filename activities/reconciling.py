"""Putting right what differs between the store and a provider.

It takes no lock, and no change waits for it. What is removed is removed under the epoch that its app had when it was
judged: as soon as a newer change has been here the provider refuses it, and before that the change does not count on
it, as it keeps only what has a row (`activities.scene`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from itertools import groupby
from weakref import WeakValueDictionary

from temporalio import activity
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy

from activities.heartbeat import heartbeating
from activities.options import QUEUE
from iarnet.errors import IarnetError, NotFound, StaleEpoch
from iarnet.gateway.base import Gateways
from iarnet.models.app import App, Event
from iarnet.models.change import ChangeRequest
from iarnet.models.reconciliation import Belonging, Finding, ProviderReport, Reconciliation, Result
from iarnet.planning.reconciling import Known, reconciled
from iarnet.providers.base import Provider, Providers
from iarnet.secrets.base import Secrets, made_for
from iarnet.store.base import Clock, Store

_LOOKS = 3
_CHANGED = "a change of its application has begun meanwhile"
_DONE = {
    "remove": "removed {}",
    "adopt": "adopted {}",
    "admit": "led users to {}",
    "forget": "forgot {}",
    "close": "closed the addresses of {}",
    "heal": "started a change that heals because of {}",
    "stop": "started a change that stops the application because of {}",
}


async def begin_reconciliation(client: Client, provider_id: str) -> None:
    """After a provider has come, or come back. One that runs already sees the same."""
    await client.start_workflow(
        "Reconcile",
        Reconciliation(provider_id=provider_id, looks=_LOOKS),
        id=f"reconcile.{provider_id}",
        task_queue=QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        static_summary=f"puts {provider_id} right",
    )


@dataclass(frozen=True)
class _Look:
    """What there is, on both sides."""

    provider: Provider
    order: Reconciliation
    known: Known
    belongings: dict[str, Belonging]


class Reconciling:
    """`owner` marks what is ours; `start_change` says False when another runs; `is_open` is of a workflow's ID."""

    def __init__(
        self,
        store: Store,
        providers: Providers,
        gateways: Gateways,
        secrets: Secrets,
        owner: str,
        clock: Clock,
        *,
        start_change: Callable[[ChangeRequest], Awaitable[bool]],
        is_open: Callable[[str], Awaitable[bool]],
    ) -> None:
        self._store = store
        self._providers = providers
        self._gateways = gateways
        self._secrets = secrets
        self._owner = owner
        self._clock = clock
        self._start_change = start_change
        self._is_open = is_open
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @activity.defn
    async def reconcile_provider(self, order: Reconciliation) -> ProviderReport:
        """Once, and one after the other. Raises `NotFound`, `ProviderUnavailable`."""
        async with heartbeating(), self._turns.setdefault(order.provider_id, asyncio.Lock()):
            look = await self._look(order)
            findings = reconciled(look.known, list(look.belongings.values()), remove_volumes=order.remove_volumes)
            done: list[Finding] = []
            for _, alike in groupby(findings, lambda finding: (finding.kind, finding.action)):
                done += await asyncio.gather(*(self._treat(look, finding) for finding in alike))
            return ProviderReport(provider_id=order.provider_id, findings=tuple(done))

    async def _look(self, order: Reconciliation) -> _Look:
        """The provider first: an instance has its row before it is made, so one without a row by now has none."""
        provider = self._providers.get(order.provider_id)
        before = await self._apps()
        belongings = await provider.owned(self._owner)
        return _Look(provider, order, await self._known(order.provider_id, before), {b.id: b for b in belongings})

    async def _known(self, provider_id: str, before: dict[str, App]) -> Known:
        store = self._store
        rows = await store.instances.list()
        states = await store.providers.states()
        leases = await store.ledger.leases(provider_id=provider_id)
        ports = await store.ledger.ports(provider_id)
        services = await store.traffic.services(provider_id=provider_id)
        endpoints = await store.traffic.endpoints(provider_id=provider_id)
        ended = [row.name for row in rows if row.provider_id == provider_id and row.state == "exited"]
        apps = await self._apps()
        secrets = await self._left_secrets(apps)
        return Known(
            provider_id=provider_id,
            before=before,
            apps=apps,
            rows=rows,
            jobs={name for name in ended if await self._is_job(name)},
            leases=leases,
            ports={place: app for place, (app, _) in ports.items()},
            services=services,
            endpoints=endpoints,
            active=[state.info.id for state in states if state.status == "active"],
            providers={s.info.id for s in states} | {r.id for r in await store.providers.registrations()},
            secrets=secrets,
            data=await self._data() if secrets else (),
        )

    async def _apps(self) -> dict[str, App]:
        return {app.name: app for app in await self._store.apps.list()}

    async def _is_job(self, name: str) -> bool:
        spec = await self._store.instances.spec(name)
        return spec is not None and spec.kind == "job"

    async def _left_secrets(self, apps: dict[str, App]) -> list[str]:
        """Apps that were there once, as their secrets still are."""
        named = {name.split("/")[1] for name in await self._secrets.names("apps") if "/" in name}
        return [app for app in sorted(named - apps.keys()) if await self._store.facts.deployments(app, limit=1)]

    async def _data(self) -> set[str] | None:
        """The apps that have volumes. Unknown unless every provider can be asked."""
        here = self._providers.all()
        if {state.info.id for state in await self._store.providers.states()} - {p.info.id for p in here}:
            return None
        try:
            found = [await provider.owned(self._owner) for provider in here]
        except IarnetError:
            return None
        return {b.app for belongings in found for b in belongings if b.kind == "volume"}

    async def _treat(self, look: _Look, finding: Finding) -> Finding:
        """What can't be put right is no reason to leave the rest."""
        if look.order.dry_run or finding.action in ("keep", "wait"):
            return finding
        try:
            outcome, problem = await self._put_right(look, finding)
        except StaleEpoch as error:
            outcome, problem = "left", error.message
        except IarnetError as error:
            outcome, problem = "failed", error.message
        finding = finding.model_copy(update={"outcome": outcome, "problem": problem})
        activity.logger.info("%s %s: %s (%s)", finding.action, finding.name, outcome, problem or finding.reason)
        if outcome == "done" and finding.app:
            await self._tell(look.order.provider_id, finding)
        return finding

    async def _put_right(self, look: _Look, finding: Finding) -> tuple[Result, str]:
        if finding.app and not await self._is_as_judged(look.known, finding.app):
            return "left", _CHANGED
        match finding.action:
            case "remove":
                belonging = look.belongings[finding.id]
                await look.provider.discard(belonging, await self._epoch(look, finding.app))
            case "adopt" | "admit":
                return await self._take_in(look, finding)
            case "forget":
                await self._forget(look, finding)
            case "close":
                await self._gateways.get(look.order.provider_id).serve(finding.app, look.order.provider_id, ())
                # Also where there is no gateway any more that would write it down.
                await self._store.traffic.serve(finding.app, look.order.provider_id, ())
            case _:
                return await self._change(look.order, finding)
        return "done", ""

    async def _is_as_judged(self, known: Known, name: str) -> bool:
        then = known.apps.get(name)
        try:
            now = await self._store.apps.get(name)
        except NotFound:
            return then is None
        return then is not None and (now.epoch, now.status) == (then.epoch, then.status)

    async def _epoch(self, look: _Look, name: str) -> int:
        """The newest that an app had; one that is made again under the name of one that is gone begins after it."""
        if name in look.known.apps:
            return look.known.apps[name].epoch
        labels = [b.instance.epoch for b in look.belongings.values() if b.app == name and b.instance]
        return max([*labels, *(d.epoch for d in await self._store.facts.deployments(name, limit=1))], default=0)

    async def _take_in(self, look: _Look, finding: Finding) -> tuple[Result, str]:
        instance = await look.provider.inspect(finding.name)
        spec = await self._store.instances.spec(finding.name)
        if instance is None or spec is None:
            return "left", "it is gone by now"
        await self._store.instances.record(instance)
        if finding.action == "admit":
            if spec.health and not (probed := await look.provider.probe(instance.name, spec.health)).ready:
                return "left", f"it is not ready: {probed.detail}"
            await self._gateways.get(look.order.provider_id).admit(instance)
        return "done", ""

    async def _forget(self, look: _Look, finding: Finding) -> None:
        provider_id = look.order.provider_id
        match finding.kind:
            case "instance":
                leases = [lease.id for lease in look.known.leases if lease.instance == finding.name]
                await self._store.instances.forget(finding.name, provider_id)
                await self._store.ledger.release(leases)
            case "endpoint":
                await self._gateways.get(provider_id).drain(finding.name, 0.0)
                await self._store.traffic.forget_endpoint(finding.name)
            case "lease":
                await self._store.ledger.release([finding.name])
            case "port":
                await self._store.ledger.release_ports(finding.app)
            case "secret":
                await self._secrets.delete(made_for(finding.app))

    async def _change(self, order: Reconciliation, finding: Finding) -> tuple[Result, str]:
        """Under the lock of all changes of the app. While there is time its watch, which was told, goes first."""
        cause = "heal" if finding.action == "heal" else "stop"
        if cause == "heal" and order.looks > 1 and await self._is_open(f"watch.{finding.app}"):
            return "left", "its watch has been told"
        if not await self._start_change(ChangeRequest(app=finding.app, cause=cause, fetch=False)):
            return "left", "a change of it is under way"
        return "done", ""

    async def _tell(self, provider_id: str, finding: Finding) -> None:
        what = _DONE[finding.action].format(f"{finding.kind} {finding.name}")
        await self._store.facts.add_event(
            Event(
                time=self._clock(),
                app=finding.app,
                instance=finding.name if finding.kind == "instance" else "",
                kind=f"reconcile.{finding.action}",
                message=f"{what} on {provider_id}: {finding.reason}",
            )
        )


def is_unfinished(findings: Iterable[Finding]) -> bool:
    """Whether somebody else is at something that is to be looked at again."""
    return any(finding.action == "wait" or finding.outcome == "left" for finding in findings)
