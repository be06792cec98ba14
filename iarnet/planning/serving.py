"""What the gateway listens for, and when: before its instances come, and until the last of them has gone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from iarnet.models.component import Component, HealthCheck, Port
from iarnet.models.container import is_address
from iarnet.models.plan import Operation
from iarnet.models.traffic import HTTP_PROTOCOLS, ServedPort
from iarnet.planning.desired import port_key

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


def with_serving(operations: Sequence[Operation], serving: Mapping[str, Serving]) -> tuple[Operation, ...]:
    """The plan with what opens and closes services: a neighbour that starts finds the address open, and nothing goes
    before what stays is led to."""
    plan = list(operations)
    for provider_id, each in sorted(serving.items()):
        plan = _opened(plan, provider_id, each)
        plan = _closed(plan, provider_id, each)
    return tuple(plan)


def _opened(plan: list[Operation], provider_id: str, serving: Serving) -> list[Operation]:
    if not (set(serving.after) - set(serving.before) or serving.admits):
        return plan
    leaving = [port for port in serving.before if _key(port) not in {_key(p) for p in serving.after}]
    opens = Operation(
        id=f"serve.{provider_id}",
        kind="serve",
        provider_id=provider_id,
        serves=(*serving.after, *leaving),
        admits=serving.admits,
        reason="addresses that stay",
    )
    return [opens, *(_behind(op, opens.id) if _is(op, provider_id, "deploy", "remove") else op for op in plan)]


def _closed(plan: list[Operation], provider_id: str, serving: Serving) -> list[Operation]:
    if not {_key(port) for port in serving.before} - {_key(port) for port in serving.after}:
        return plan
    closes = Operation(
        id=f"close.{provider_id}",
        kind="serve",
        provider_id=provider_id,
        serves=serving.after,
        after=tuple(op.id for op in plan if _is(op, provider_id, "serve", "deploy", "ready", "remove")),
        reason="addresses that nobody has any more",
    )
    return [*(_behind(op, closes.id) if _is(op, provider_id, "release") else op for op in plan), closes]


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


def _key(port: ServedPort) -> tuple[str, int, str]:
    return port.component, *_place(port)


def _is(operation: Operation, provider_id: str, *kinds: str) -> bool:
    return operation.provider_id == provider_id and operation.kind in kinds


def _behind(operation: Operation, id: str) -> Operation:
    return operation.model_copy(update={"after": (*operation.after, id)})
