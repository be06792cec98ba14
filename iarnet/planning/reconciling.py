"""What the store knows against what a provider has: everything that is wrong, and what to do about each.

An application is judged only while it is *settled*: no change of it runs, and none began or ended while its provider
was being asked. Objects of other owners never come here.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from iarnet.models.app import App
from iarnet.models.instance import Instance
from iarnet.models.lease import Lease, Place
from iarnet.models.reconciliation import Belonging, Finding
from iarnet.models.traffic import Endpoint, Service

_RUNS = ("running", "degraded", "failed")
CHANGING = ("deploying", "stopping", "deleting")
"""Of these a change runs, or has been cut short and is about to be taken up."""

_UNSEEN = ("pending", "lost", "removed")


@dataclass(frozen=True)
class Known:
    """What the store says, read after the provider has said what it has.

    `before`: the apps as they were before that. `rows`: of all providers, and `jobs` the names of those that are to
    end. Leases, ports (to their app), services and endpoints are of this provider. `active`: the providers that
    answer, of all `providers`. `secrets`: the apps that have some made for them; `data`: those that have volumes,
    wherever, None when that can't be told now.
    """

    provider_id: str
    before: Mapping[str, App]
    apps: Mapping[str, App]
    rows: Sequence[Instance] = ()
    jobs: Collection[str] = ()
    leases: Sequence[Lease] = ()
    ports: Mapping[Place, str] = field(default_factory=dict)
    services: Sequence[Service] = ()
    endpoints: Sequence[Endpoint] = ()
    active: Collection[str] = ()
    providers: Collection[str] = ()
    secrets: Collection[str] = ()
    data: Collection[str] | None = None

    def settled(self, app: str) -> bool:
        now, then = self.apps.get(app), self.before.get(app)
        if now is None or then is None:
            return now is then
        return now.epoch == then.epoch and not {now.status, then.status} & set(CHANGING)

    def runs(self, app: str) -> bool:
        """Or is meant to."""
        found = self.apps.get(app)
        return found is not None and found.status in _RUNS and found.revision > 0

    # Kept once made: there may be thousands of rows.

    @cached_property
    def here(self) -> dict[str, Instance]:
        return {row.name: row for row in self.rows if row.provider_id == self.provider_id}

    @cached_property
    def elsewhere(self) -> set[tuple[str, str]]:
        """Name and provider's ID of what others know as theirs."""
        return {(row.name, row.id) for row in self.rows if row.provider_id != self.provider_id}

    @cached_property
    def apps_here(self) -> set[str]:
        return {row.app for row in self.here.values()}

    @cached_property
    def apps_with_rows(self) -> set[str]:
        return {row.app for row in self.rows}


def reconciled(known: Known, belongings: Sequence[Belonging], *, remove_volumes: bool = False) -> tuple[Finding, ...]:
    """What is wrong, in the order in which it is to be put right. Of an app that changes only that it has to wait."""
    found = list(_all(known, belongings, remove_volumes))
    unsettled = {f.app for f in found if f.app and not known.settled(f.app)}
    return (
        *(_finding("application", app, app, "wait", "a change of it is under way") for app in sorted(unsettled)),
        *(f for f in found if f.app not in unsettled),
    )


def _all(known: Known, belongings: Sequence[Belonging], remove_volumes: bool) -> Iterator[Finding]:
    instances = [b for b in belongings if b.kind == "instance"]
    # Users are led away from what goes before it goes.
    yield from _traffic(known, [b.instance for b in instances if b.instance and not b.astray])
    yield from _instances(known, instances)
    yield from _lost(known, {b.name for b in instances if not b.astray})
    yield from _twins(known, {b.name for b in instances})
    yield from _networks(known, belongings)
    yield from _gateways(known, belongings)
    yield from _volumes(known, belongings, remove_volumes)
    yield from _claims(known)
    yield from _secrets(known)


def _instances(known: Known, belongings: Iterable[Belonging]) -> Iterator[Finding]:
    for belonging in belongings:
        instance = belonging.instance
        if instance is None or _is_seen_twice(known, instance):
            continue
        if reason := _unwanted(known, belonging, instance):
            yield _of(belonging, "remove", reason)
        elif known.apps[belonging.app].status == "stopped":
            yield _of(belonging, "stop", f"{belonging.app} is stopped")
        elif instance.state == "running" and known.here[belonging.name].state in _UNSEEN:
            yield _of(belonging, "adopt", f"it runs, and was taken for {known.here[belonging.name].state}")


def _unwanted(known: Known, belonging: Belonging, instance: Instance) -> str:
    """Why nobody wants it. Empty when somebody does."""
    row = known.here.get(belonging.name)
    if belonging.app not in known.apps:
        return f"{belonging.app} is gone"
    if belonging.astray:
        return "it isn't where a deployment would look for what has its name"
    if row is None:
        return f"no deployment of {belonging.app} has asked for it here"
    if row.app != belonging.app or row.spec_hash != instance.spec_hash:
        return f"it is {instance.spec_hash}, and {row.spec_hash} of {row.app} was asked for"
    return ""


def _is_seen_twice(known: Known, instance: Instance) -> bool:
    """One engine may be connected under two names: what the other knows as its own is not an orphan here."""
    return (instance.name, instance.id) in known.elsewhere


def _lost(known: Known, there: Collection[str]) -> Iterator[Finding]:
    """What was asked for here and isn't. A job that has ended needs nothing more."""
    for row in known.here.values():
        if row.name in there or (row.name in known.jobs and row.state == "exited"):
            continue
        if known.runs(row.app):
            yield _finding("instance", row.name, row.app, "heal", "it is not there any more")
        else:
            yield _finding("instance", row.name, row.app, "forget", f"it is not there, and {row.app} does not run")


def _twins(known: Known, there: Collection[str]) -> Iterator[Finding]:
    """Two that do the same work, both where they can be seen: a move or a change was cut short."""
    doing: dict[tuple[str, str, int], list[Instance]] = defaultdict(list)
    for row in known.rows:
        if row.provider_id in known.active and known.runs(row.app) and known.apps[row.app].status != "failed":
            doing[row.app, row.component, row.replica].append(row)
    for row in known.here.values():
        others = [other for other in doing[row.app, row.component, row.replica] if other is not row]
        if others and row.name in there:
            reason = f"{others[0].name} on {others[0].provider_id} does the same work"
            yield _finding("instance", row.name, row.app, "heal", reason)


def _traffic(known: Known, instances: Iterable[Instance]) -> Iterator[Finding]:
    names = {row.name for row in known.rows}
    led = {endpoint.instance for endpoint in known.endpoints}
    through = {(service.app, service.component) for service in known.services}
    for endpoint in known.endpoints:
        # Without a revision it is a server outside, which a person has added.
        if endpoint.revision is not None and endpoint.instance not in names:
            yield _finding("endpoint", endpoint.instance, endpoint.app, "forget", "there is no such instance")
    for app in sorted({service.app for service in known.services}):
        if reason := _needless(known, app):
            yield _finding("service", app, app, "close", reason)
    for instance in instances:
        wanted = instance.state == "running" and instance.name in known.here and known.runs(instance.app)
        if wanted and (instance.app, instance.component) in through and instance.name not in led:
            yield _finding("endpoint", instance.name, instance.app, "admit", "it runs, and nobody is led to it")


def _needless(known: Known, app: str) -> str:
    """Why its addresses here serve nobody. What came up of an app that failed is kept, with them."""
    found = known.apps.get(app)
    if found is None or found.status == "stopped":
        return f"{app} is {'stopped' if found else 'gone'}"
    if app in known.apps_here:
        return ""
    if not known.runs(app):
        return f"{app} does not run"
    return f"{app} runs elsewhere" if app in known.apps_with_rows else ""


def _networks(known: Known, belongings: Sequence[Belonging]) -> Iterator[Finding]:
    used = {b.app for b in belongings if b.kind == "instance"} | {s.app for s in known.services} | known.apps_here
    for network in (b for b in belongings if b.kind == "network"):
        if network.app not in known.apps:
            yield _of(network, "remove", f"{network.app} is gone")
        elif network.astray:
            yield _of(network, "remove", "it isn't where a deployment would look for it")
        elif network.app not in used:
            yield _of(network, "remove", f"nothing of {network.app} is here")


def _volumes(known: Known, belongings: Sequence[Belonging], remove: bool) -> Iterator[Finding]:
    """Data: of an app that is there it is never touched, of one that is gone only when that is asked for."""
    for volume in (b for b in belongings if b.kind == "volume"):
        if volume.app not in known.apps:
            yield _of(volume, "remove" if remove else "keep", f"{volume.app} is gone, and this is its data")


def _gateways(known: Known, belongings: Sequence[Belonging]) -> Iterator[Finding]:
    for gateway in (b for b in belongings if b.kind == "gateway"):
        if gateway.name not in known.providers:
            yield _of(gateway, "remove", f"{gateway.name} is no provider any more")


def _claims(known: Known) -> Iterator[Finding]:
    """Room and ports that nobody can be using. What is only selected (epoch 0) ends by itself."""
    for lease in known.leases:
        if lease.app not in known.apps:
            yield _finding("lease", lease.id, lease.app, "forget", f"{lease.app} is gone")
        elif lease.instance not in known.here and (lease.state == "active" or lease.epoch):
            yield _finding("lease", lease.id, lease.app, "forget", "there is no such instance")
    for app in sorted(set(known.ports.values()) - known.apps.keys()):
        held = sorted(place for place, holder in known.ports.items() if holder == app)
        ports = ", ".join(f"{port}/{transport}" for port, transport in held)
        yield _finding("port", ports, app, "forget", f"{app} is gone")


def _secrets(known: Known) -> Iterator[Finding]:
    """Those that were made for an app outlive it with its data, and no longer."""
    if known.data is None:
        return
    for app in sorted(set(known.secrets) - known.apps.keys() - set(known.data)):
        yield _finding("secret", app, app, "forget", f"{app} is gone, and no data that needs them is left")


def _of(belonging: Belonging, action: str, reason: str) -> Finding:
    return _finding(belonging.kind, belonging.name, belonging.app, action, reason, belonging.id)


def _finding(kind: str, name: str, app: str, action: str, reason: str, id: str = "") -> Finding:
    return Finding.model_validate(
        {"kind": kind, "name": name, "app": app, "action": action, "reason": reason, "id": id}
    )
