"""What is left of a change that was undone, in words."""

from iarnet.models.plan import Operation
from workflows.execution import Execution


def left(done: Execution | None, undo: Execution | None) -> tuple[str, ...]:
    """Effects that last, and what undoing has not come to. `undo` None: there was not even a plan for it."""
    if done is None:
        return ()
    lasting = [each.what for each in done.plan.lasting if each.operation in done.begun]
    if undo is None:
        begun = [operation for operation in done.plan.operations if operation.id in done.begun]
        return _each(*lasting, *map(_stands, begun))
    stranded = [each.what for each in undo.plan.lasting]
    return _each(*lasting, *stranded, *map(_lacks, undo.missing))


def _each(*words: str) -> tuple[str, ...]:
    """Once, in their order."""
    return tuple(dict.fromkeys(word for word in words if word))


def _stands(operation: Operation) -> str:
    if operation.kind in ("deploy", "ready"):
        return f"{operation.instance}, which may be there"
    return f"{operation.instance}, which may be gone" if operation.kind == "remove" else ""


def _lacks(operation: Operation) -> str:
    if operation.kind in ("deploy", "ready"):
        return f"{operation.instance}, which is not there again"
    if operation.kind == "remove":
        return f"{operation.instance}, which may be there still"
    if operation.kind == "serve":
        return f"what the gateway beside {operation.provider_id} listens for"
    return f"the network on {operation.provider_id}" if operation.kind == "release" else ""
