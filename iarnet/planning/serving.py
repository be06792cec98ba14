"""What the gateway listens for, and when: before its instances come, and until the last of them has gone."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from iarnet.models.component import Component, HealthCheck, Port
from iarnet.models.container import is_address
from iarnet.models.instance import Instance
from iarnet.models.plan import Operation
from iarnet.models.traffic import HTTP_PROTOCOLS, ServedPort
from iarnet.planning.desired import port_key
from iarnet.planning.handover import Handover, Place, before, in_turn

ADDRESSES = 16
"""That an app may have on a provider. Each is a network of the engine, of which a machine can't have any number."""


@dataclass(frozen=True)
class Serving:
    """On one provider: what is served before the change and after it, and the instances that traffic is to reach
    although the change leaves them as they are."""

    before: tuple[ServedPort, ...] = ()
    after: tuple[ServedPort, ...] = ()
    admits: tuple[str, ...] = ()

    @property
    def moved(self) -> set[str]:
        """The components that are not where they were: what runs and knows the old address must be replaced."""
        now = {port.component: port.slot for port in self.after}
        return {port.component for port in self.before if now.get(port.component) != port.slot}


def served(
    components: Sequence[Component], host_ports: Mapping[str, int], before: Sequence[ServedPort], lowest: int
) -> tuple[tuple[ServedPort, ...], list[str]]:
    """The ports that these components have at the gateway, and notes about who can't have them.

    The components of an app share an address there; one that wants a TCP or UDP port which another has at the first
    is at the next where it is free. Who is served already stays where it is. `before`: all that is served of the app
    here; a port that its holder gives up is free only afterwards. Whoever wants a port below `lowest`, which the
    gateway may not open, is left as it is: its neighbours reach it directly.
    """
    at = {port.component: port.slot for port in before}
    found: list[ServedPort] = []
    notes: list[str] = []
    for component in sorted(components, key=lambda c: c.name not in at):
        wanted = [] if component.kind == "job" else [_served(component, port, host_ports) for port in component.ports]
        others = [port for port in (*before, *found) if port.component != component.name]
        tried = (at.get(component.name, 0), *range(ADDRESSES))
        slots = [slot for slot in tried if not any(_clashes(port, slot, others) for port in wanted)]
        if obstacle := _obstacle(wanted, slots, lowest):
            notes.append(f"{component.name} is reached directly, not through the gateway: {obstacle}")
            continue
        found += [port.model_copy(update={"slot": slots[0]}) for port in wanted]
    return tuple(found), notes


def with_serving(
    operations: Sequence[Operation], serving: Mapping[str, Serving], actual: Sequence[Instance] = ()
) -> tuple[Operation, ...]:
    """The plan with what opens and closes services: a neighbour that starts finds the address open, nothing goes
    before what stays is led to, and a host port is free before another takes it. `actual`: what is there."""
    plan = list(operations)
    for provider_id, each in sorted(serving.items()):
        here = [instance for instance in actual if instance.provider_id == provider_id]
        plan = _Listening(plan, provider_id, each, here).plan()
    return tuple(plan)


def handed_over(operations: Iterable[Operation]) -> list[str]:
    """Where there is a gap although two could run side by side."""
    gaps = (op for op in operations if op.kind == "serve" and op.id.partition(".")[0] in ("yield", "take"))
    return [f"{op.reason}: between the two nobody answers there" for op in gaps]


class _Listening:
    """What the gateway of one provider listens for, change by change, in one order: each says all of it."""

    def __init__(self, plan: list[Operation], provider_id: str, serving: Serving, actual: Sequence[Instance]) -> None:
        self._plan = plan
        self._provider_id = provider_id
        self._serving = serving
        self._listens = serving.before
        self._last: tuple[str, ...] = ()
        here = [op for op in plan if op.provider_id == provider_id]
        self._handover = Handover(serving.before, serving.after, here, actual)

    def plan(self) -> list[Operation]:
        self._open()
        for deploy in in_turn(self._plan, lambda op: self._is(op, "deploy")):
            self._yield(deploy)
        self._pass()
        self._take()
        self._close()
        return self._plan

    def _open(self) -> None:
        first = self._handover.at_first()
        if set(first) != set(self._listens) or self._serving.admits:
            opens = self._listen("serve", first, "addresses that stay", admits=self._serving.admits)
            self._plan = [opens, *self._all_behind(opens, "deploy", "remove")]

    def _yield(self, deploy: Operation) -> None:
        """Right before it starts."""
        if places := self._handover.yielded(deploy.id):
            reason = f"{_ports(places)} passes from the gateway to {deploy.component} itself"
            at = next(n for n, op in enumerate(self._plan) if op.id == deploy.id)
            left = self._handover.without(self._listens, places)
            yields = self._listen("yield", left, reason, deploy.component, after=self._plan[at].after)
            self._plan[at : at + 1] = [yields, _behind(self._plan[at], yields.id)]

    def _pass(self) -> None:
        """When who gets it is there, and before who has had it goes."""
        if set(passed := self._handover.passed()) == set(self._listens):
            return
        pairs = self._handover.passed_on()
        coming = [op.id for op in self._plan if self._is(op, "deploy", "ready") and op.component in pairs]
        committed = [op.id for op in self._plan if op.kind == "commit"]
        passes = self._listen("pass", passed, "host ports lead to others", after=tuple(committed or coming))
        needed = before(passes, self._plan)

        def waits(op: Operation) -> bool:
            return self._is(op, "remove") and op.component in {*pairs.values()} and op.id not in needed

        self._plan = [_behind(op, passes.id) if waits(op) else op for op in self._plan] + [passes]

    def _take(self) -> None:
        """When who has it has gone."""
        if set(last := self._handover.at_last()) != set(self._listens):
            freed = self._handover.freed_by()
            reason = f"{_ports(freed.values())} passes to the gateway"
            self._plan.append(self._listen("take", last, reason, after=tuple(sorted(freed))))

    def _close(self) -> None:
        if set(self._serving.after) != set(self._listens):
            after = tuple(op.id for op in self._plan if self._is(op, "serve", "deploy", "ready", "remove"))
            self._last = ()
            closes = self._listen("close", self._serving.after, "addresses that nobody has any more", after=after)
            self._plan = [*self._all_behind(closes, "release"), closes]

    def _listen(
        self, what: str, serves: tuple[ServedPort, ...], reason: str, component: str = "", **more: tuple[str, ...]
    ) -> Operation:
        id = ".".join(filter(None, (what, self._provider_id, component)))
        after = tuple(dict.fromkeys((*self._last, *more.pop("after", ()))))
        self._listens, self._last = serves, (id,)
        return Operation(
            id=id, kind="serve", provider_id=self._provider_id, serves=serves, after=after, reason=reason, **more
        )

    def _all_behind(self, first: Operation, *kinds: str) -> list[Operation]:
        return [_behind(op, first.id) if self._is(op, *kinds) else op for op in self._plan]

    def _is(self, operation: Operation, *kinds: str) -> bool:
        return operation.provider_id == self._provider_id and operation.kind in kinds


def _served(component: Component, port: Port, host_ports: Mapping[str, int]) -> ServedPort:
    return ServedPort(
        component=component.name,
        port=port.port,
        protocol=port.protocol,
        host_port=host_ports.get(port_key(component.name, port.port, port.transport)),
        health=_health(component, port),
        limits=component.limits,
        ejection=component.ejection,
        names=component.aliases,
    )


def _health(component: Component, port: Port) -> HealthCheck | None:
    """The component's check, if it asks this port."""
    check = component.health
    if check is None or check.type not in ("http", "grpc", "tcp"):
        return None
    asked = check.port or next((p.port for p in component.ports if p.transport == "tcp"), None)
    return check if (asked, "tcp") == (port.port, port.transport) else None


def _obstacle(wanted: Sequence[ServedPort], slots: Sequence[int], lowest: int) -> str:
    """Why they can't be served, or nothing."""
    low = [number for port in wanted for number in (port.port, port.host_port) if number and number < lowest]
    if low:
        return f"port {low[0]} needs rights that this node does not have"
    ports = ", ".join(str(port.port) for port in wanted)
    return "" if slots else f"others have port {ports} at each of the {ADDRESSES} addresses that an app may have"


def _clashes(port: ServedPort, slot: int, others: Sequence[ServedPort]) -> bool:
    there = (other for other in others if other.slot == slot and _place(other) == _place(port))
    return any(not (_tells(other) and _tells(port)) for other in there)


def _tells(port: ServedPort) -> bool:
    """Requests say which host they are for, so that several components can have one port: unless it is an address."""
    return port.protocol in HTTP_PROTOCOLS and not any(map(is_address, port.names))


def _place(port: ServedPort) -> tuple[int, str]:
    return port.port, port.transport


def _ports(places: Iterable[Place]) -> str:
    return f"host port {', '.join(str(number) for number in sorted({number or 0 for number, _ in places}))}"


def _behind(operation: Operation, id: str) -> Operation:
    return operation.model_copy(update={"after": (*operation.after, id)})
