"""How many instances of an application a provider has beside each other while it changes."""

from collections import Counter
from collections.abc import Sequence

from iarnet.models.plan import Kept, Operation


def with_room(operations: Sequence[Operation], kept: Sequence[Kept]) -> tuple[Operation, ...]:
    """The plan, in which whatever may make a network says for how many: those that stay, that come and that go."""
    room = Counter(each.provider_id for each in kept)
    room.update(op.provider_id for op in operations if op.kind in ("deploy", "remove"))
    return tuple(_roomy(op, room[op.provider_id]) for op in operations)


def _roomy(operation: Operation, room: int) -> Operation:
    if operation.kind == "serve":
        return operation.model_copy(update={"room": room})
    if operation.spec:
        return operation.model_copy(update={"spec": operation.spec.model_copy(update={"room": room})})
    return operation
