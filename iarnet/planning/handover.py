"""Host ports that change hands on a provider. Pure.

Each has one holder: an instance, or the gateway for a component. Whoever takes one over waits until the other has let
go of it, and that holds it as long as it can: an instance until it goes, the gateway until what comes may start.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from graphlib import TopologicalSorter

from iarnet.models.instance import Instance, InstanceSpec
from iarnet.models.plan import Operation
from iarnet.models.traffic import ServedPort

Place = tuple[int | None, str]
"""Host port and transport; without a number it is nowhere."""


class Handover:
    """`before`, `after`: what the gateway serves; `operations`, `actual`: of this provider alone."""

    def __init__(
        self,
        before: Sequence[ServedPort],
        after: Sequence[ServedPort],
        operations: Sequence[Operation],
        actual: Sequence[Instance],
    ) -> None:
        self._before = {key(port): port for port in before}
        self._after = {key(port): port for port in after}
        self._leaving = [port for port in before if key(port) not in self._after]
        removals = {op.instance: op.id for op in operations if op.kind == "remove"}
        self._goes = {
            place: removals[instance.name]
            for instance in actual
            if instance.name in removals
            for place in published(instance)
        }
        self._comes = {
            place: op.id for op in operations if op.kind == "deploy" and op.spec for place in published(op.spec)
        }
        self._held = {_place(port): key(port) for port in before if port.host_port}
        self._taken = {_place(port): key(port) for port in after if port.host_port}

    def at_first(self) -> tuple[ServedPort, ...]:
        """All that leaves and all that comes, with host ports as they are where two want one."""
        return (*(_at(port, self._host_port_at_first(port)) for port in self._after.values()), *self._leaving)

    def at_last(self) -> tuple[ServedPort, ...]:
        """All that comes as it is to be; and what leaves, without the host ports that others have by then."""
        return (*self._after.values(), *self.without(self._leaving, {*self._taken, *self._comes}))

    def passed(self) -> tuple[ServedPort, ...]:
        """The same, but for the host ports of instances that are still there."""
        return self.without(self.at_last(), {*self._goes})

    def yielded(self, to: str) -> set[Place]:
        """What the gateway leaves to the instance that this operation deploys."""
        return {place for place, id in self._comes.items() if id == to and place in self._held}

    def without(self, served: Iterable[ServedPort], places: set[Place]) -> tuple[ServedPort, ...]:
        return tuple(_at(port, None) if _place(port) in places else port for port in served)

    def freed_by(self) -> dict[str, Place]:
        """The removals that the gateway waits for, and what for."""
        return {id: place for place, id in self._goes.items() if place in self._taken}

    def passed_on(self) -> dict[str, str]:
        """The components that get a host port which the gateway has had for another, and who that is."""
        both = [(self._taken[place][0], self._held[place][0]) for place in self._taken.keys() & self._held.keys()]
        return {to: from_ for to, from_ in both if to != from_}

    def _host_port_at_first(self, port: ServedPort) -> int | None:
        had = self._before[key(port)] if key(port) in self._before else _at(port, None)
        contested = self._is_contested(_place(port)) or self._is_contested(_place(had))
        return had.host_port if contested else port.host_port

    def _is_contested(self, place: Place) -> bool:
        to = self._comes.get(place) or self._taken.get(place)
        from_ = self._goes.get(place) or self._held.get(place)
        return bool(to and from_ and to != from_)


def in_turn(operations: Sequence[Operation], of: Callable[[Operation], bool]) -> list[Operation]:
    """Those, in an order in which the plan allows them."""
    by_id: Mapping[str, Operation] = {op.id: op for op in operations}
    order = TopologicalSorter({op.id: op.after for op in operations}).static_order()
    return [by_id[id] for id in order if id in by_id and of(by_id[id])]


def before(operation: Operation, operations: Sequence[Operation]) -> set[str]:
    """All that it stands behind."""
    by_id = {op.id: op for op in operations}
    found: set[str] = set()
    left = [*operation.after]
    while left:
        if (id := left.pop()) not in found:
            found.add(id)
            left += by_id[id].after
    return found


def key(port: ServedPort) -> tuple[str, int, str]:
    return port.component, port.port, port.transport


def published(what: Instance | InstanceSpec) -> set[Place]:
    return {(port.host_port, port.protocol) for port in what.ports if port.host_port}


def _place(port: ServedPort) -> Place:
    return port.host_port, port.transport


def _at(port: ServedPort, host_port: int | None) -> ServedPort:
    return port if port.host_port == host_port else port.model_copy(update={"host_port": host_port})
