"""What the gateway listens for, and when: before its instances come, and until the last of them has gone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from iarnet.models.component import Component, Port
from iarnet.models.plan import Operation
from iarnet.models.traffic import ServedPort
from iarnet.planning.desired import port_key

_BY_HOST = ("http", "grpc", "websocket")
"""Told apart by the host that a request names, so that several components can have one port."""


@dataclass(frozen=True)
class Serving:
    """On one provider: what is served before the change and after it, and the instances that traffic is to reach
    although the change leaves them as they are."""

    before: tuple[ServedPort, ...] = ()
    after: tuple[ServedPort, ...] = ()
    admits: tuple[str, ...] = ()


def served(
    components: Sequence[Component], host_ports: Mapping[str, int], others: Sequence[ServedPort], lowest: int
) -> tuple[tuple[ServedPort, ...], list[str]]:
    """The ports that these components have at the gateway, and notes about who can't have them.

    All components of an app share one address there. A component that wants a TCP or UDP port which another has
    already, or one below `lowest`, which the gateway may not open, is left as it is: its neighbours reach it
    directly. `others` are served beside them.
    """
    taken = {_place(port): port for port in others}
    found: list[ServedPort] = []
    notes: list[str] = []
    for component in components:
        wanted = [] if component.kind == "job" else [_served(component, port, host_ports) for port in component.ports]
        obstacle = next((why for port in wanted if (why := _obstacle(port, taken, lowest))), None)
        if obstacle:
            notes.append(f"{component.name} is reached directly, not through the gateway: {obstacle}")
            continue
        taken |= {_place(port): port for port in wanted}
        found += wanted
    return tuple(found), notes


def with_serving(operations: Sequence[Operation], serving: Mapping[str, Serving]) -> tuple[Operation, ...]:
    """The plan with what opens and closes services: a neighbour that starts finds the address open."""
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
    return [opens, *(_behind(op, opens.id) if _is(op, provider_id, "deploy") else op for op in plan)]


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
    )


def _obstacle(port: ServedPort, taken: Mapping[tuple[int, str], ServedPort], lowest: int) -> str | None:
    if port.port < lowest:
        return f"port {port.port} needs rights that this node does not have"
    holder = taken.get(_place(port))
    if holder is None or {holder.protocol, port.protocol} <= set(_BY_HOST):
        return None
    return f"{holder.component} has port {port.port} there"


def _place(port: ServedPort) -> tuple[int, str]:
    return port.port, port.transport


def _key(port: ServedPort) -> tuple[str, int, str]:
    return port.component, *_place(port)


def _is(operation: Operation, provider_id: str, *kinds: str) -> bool:
    return operation.provider_id == provider_id and operation.kind in kinds


def _behind(operation: Operation, id: str) -> Operation:
    return operation.model_copy(update={"after": (*operation.after, id)})
