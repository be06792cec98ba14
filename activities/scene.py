"""What is there when a plan is made."""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from iarnet.models.app import Revision
from iarnet.models.component import Component
from iarnet.models.instance import Instance, InstanceSpec
from iarnet.models.lease import Place
from iarnet.models.plan import Kept
from iarnet.models.provider import ProviderState
from iarnet.models.traffic import Route, ServedPort, Service
from iarnet.planning.leading import Leading
from iarnet.planning.serving import Serving, served
from iarnet.providers.base import Providers
from iarnet.store.base import Store

# The others were on their way out when their change ended: who stays is admitted anew.
_ADMITTED = ("active", "suspended")


class Specs(Protocol):
    """What a component's instances are, by the slots of what is reached through the gateway."""

    def __call__(self, component: Component, *, served: Mapping[str, int] | None = None) -> list[InstanceSpec]: ...


@dataclass(frozen=True)
class Scene:
    """An app and the providers. `proven`: the epoch of its last change that ended well; `admitted`: the instances
    that the gateways lead to, or will when they are well; `routes`: those of users."""

    states: dict[str, ProviderState]
    actual: tuple[Instance, ...]
    previous: Revision | None
    proven: int
    services: tuple[Service, ...]
    admitted: frozenset[str]
    routes: tuple[Route, ...] = ()

    @property
    def unreachable(self) -> set[str]:
        return {i.provider_id for i in self.actual} - {
            s.info.id for s in self.states.values() if s.status == "active"
        }

    def untouched(self, scope: Collection[str] | None) -> set[str]:
        """The components that a change of this scope leaves alone."""
        return set() if scope is None else {i.component for i in self.actual} - {*scope}

    def host_ports(self, provider_id: str) -> set[Place]:
        """What the app listens on there, itself or through the gateway."""
        here = [port for i in self.actual if i.provider_id == provider_id for port in i.ports]
        direct = {(port.host_port, port.protocol) for port in here if port.host_port}
        return direct | {(p.host_port, p.transport) for p in self.served_by(provider_id) if p.host_port}

    def served_by(self, provider_id: str) -> tuple[ServedPort, ...]:
        """What is served there now."""
        here = [service for service in self.services if service.provider_id == provider_id]
        return tuple(ServedPort(**service.model_dump(include=set(ServedPort.model_fields))) for service in here)

    def offered(
        self, provider_id: str, components: Sequence[Component], specs: Specs, *, undoing: bool
    ) -> list[Component]:
        """Those that are to be reached through the gateway, if it can. `undoing`: what the change that is undone has
        not come to stays as it is, also where it is reached in another way than it would be now."""
        able = self.states[provider_id].info.capabilities.gateway
        if not undoing:
            return list(components) if able else []
        served = {port.component for port in self.served_by(provider_id)}

        def through(c: Component) -> bool:
            stays = c.name in served and self._runs(specs(c, served={c.name: 0}), provider_id)
            return stays or (able and not self._runs(specs(c), provider_id))

        return [component for component in components if through(component)]

    def serving(
        self, provider_id: str, components: Sequence[Component], host_ports: Mapping[str, int], scope: set[str] | None
    ) -> tuple[Serving, list[str]]:
        """What is to be served for these components, beside those that the change leaves alone; and notes."""
        idle = self._idle(provider_id, scope)
        lowest = self.states[provider_id].info.capabilities.lowest_port
        ports, notes = served(components, host_ports, idle.before, lowest)
        found = replace(idle, after=(*idle.after, *ports))
        return found, [*notes, *self._lost_ways(found)]

    def complete(
        self, serving: Mapping[str, Serving], kept: Sequence[Kept], scope: set[str] | None
    ) -> dict[str, Serving]:
        """With what stays and the gateway does not know yet, and with the providers that the app leaves."""
        left = {service.provider_id for service in self.services} - {*serving, *self.unreachable}
        found = {provider_id: self._idle(provider_id, scope) for provider_id in left}
        for provider_id, each in serving.items():
            through = {port.component for port in each.after}
            unknown = [k for k in kept if k.provider_id == provider_id and k.instance not in self.admitted]
            found[provider_id] = replace(each, admits=tuple(k.instance for k in unknown if k.component in through))
        return found

    def _runs(self, specs: Iterable[InstanceSpec], provider_id: str) -> bool:
        """All of these, whatever revision made them."""
        running = (i for i in self.actual if i.provider_id == provider_id and i.state == "running")
        there = {(i.component, i.replica, i.spec_hash) for i in running}
        return all((spec.component, spec.replica, spec.spec_hash) in there for spec in specs)

    def _lost_ways(self, serving: Serving) -> list[str]:
        """Routes that lead to what the change takes away."""
        before, after = Leading(serving.before), Leading(serving.after)
        both = [(route.id, before.lead(route).notes, after.lead(route).notes) for route in self.routes]
        return [f"route {id}: {note}" for id, known, now in both for note in now if note not in known]

    def _idle(self, provider_id: str, scope: set[str] | None) -> Serving:
        """Where nothing of the change runs: what it does not touch stays."""
        before = self.served_by(provider_id)
        return Serving(before, tuple(p for p in before if scope is not None and p.component not in scope))


async def look(store: Store, providers: Providers, owner: str, name: str) -> Scene:
    """Raises `NotFound` when there is no such app."""
    app, states = await asyncio.gather(store.apps.get(name), _states(store))
    actual, previous, proven, services, endpoints, routes = await asyncio.gather(
        _actual(store, providers, owner, name, states),
        store.facts.revision(app.name, app.revision),
        store.facts.proven(name),
        store.traffic.services(name),
        store.traffic.endpoints(name),
        store.traffic.routes(name),
    )
    return Scene(
        states=states,
        actual=tuple(actual),
        previous=previous,
        proven=proven,
        services=tuple(services),
        admitted=frozenset(e.instance for e in endpoints if e.state in _ADMITTED),
        routes=tuple(routes),
    )


async def _states(store: Store) -> dict[str, ProviderState]:
    states, reserved = await asyncio.gather(store.providers.states(), store.ledger.reserved())
    held = {state.info.id: reserved.get(state.info.id, type(state.reserved)()) for state in states}
    return {state.info.id: state.model_copy(update={"reserved": held[state.info.id]}) for state in states}


async def _actual(
    store: Store, providers: Providers, owner: str, app: str, states: dict[str, ProviderState]
) -> list[Instance]:
    """What runs, from the providers themselves where they answer, from the last record where they don't.

    And what was written down there and never came to be, as a change was cancelled or failed in between: its row has
    to go like an instance. These come first, as what runs says more of where a component is at home.
    """
    here = {p.info.id: p for p in providers.all()}
    asked = [id for id, state in states.items() if state.status == "active" and id in here]
    found = [instance for id in asked for instance in await here[id].instances(owner, app)]
    there = {(instance.name, instance.provider_id) for instance in found}
    rows = await store.instances.list(app=app)
    known = {(row.name, row.provider_id) for row in rows}
    # What has no row is not kept as it is: whoever wants it writes it down and adopts it, or it goes.
    found = [i if (i.name, i.provider_id) in known else i.model_copy(update={"state": "lost"}) for i in found]
    missing = [row for row in rows if row.provider_id in asked and (row.name, row.provider_id) not in there]
    begun = [row for row in missing if row.state == "pending"]
    return [*begun, *found, *(row for row in rows if row.provider_id not in asked)]
