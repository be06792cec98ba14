"""What undoing a change would leave. Pure."""

from collections.abc import Collection, Iterable, Sequence

from iarnet.models.instance import Instance
from iarnet.models.plan import Lasting, Operation


def lasting(
    operations: Iterable[Operation], actual: Sequence[Instance], back: Collection[str]
) -> tuple[Lasting, ...]:
    """One entry for each effect that no plan takes back. `back`: the components of the revision to go back to."""
    there = {(i.name, i.provider_id): i for i in actual}
    return tuple(
        Lasting(operation=op.id, component=op.component, what=what)
        for op in operations
        for what in _left(op, there.get((op.instance, op.provider_id)), back)
    )


def stranded(actual: Sequence[Instance], unreachable: Collection[str]) -> tuple[Lasting, ...]:
    """What can't be taken away now."""
    return tuple(
        Lasting(component=i.component, what=f"{i.name} on {i.provider_id}, until that can be reached again")
        for i in actual
        if i.provider_id in unreachable
    )


def _left(operation: Operation, instance: Instance | None, back: Collection[str]) -> Iterable[str]:
    spec = operation.spec
    if operation.kind == "deploy" and spec:
        if spec.kind == "job":
            yield f"what the job {spec.component} may have done"
        for written in (volume.name for volume in spec.volumes if not volume.read_only):
            yield f"what {spec.component} may have written to its volume {written}"
    if operation.kind == "remove" and instance and instance.state == "running" and instance.component not in back:
        yield f"the end of {instance.name}: no revision to go back to has {instance.component}"
    if operation.kind == "release":
        for volume in operation.volumes:
            yield f"the loss of the data in {volume}"
