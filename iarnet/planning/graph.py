"""The DAG among components."""

from collections.abc import Iterable, Sequence
from graphlib import CycleError, TopologicalSorter

from iarnet.errors import DependencyCycle, InvalidInput
from iarnet.models.edge import Edge


def order(names: Iterable[str], edges: Sequence[Edge]) -> list[str]:
    """Names such that everything stands behind what it needs. Raises `DependencyCycle` naming the circle."""
    sorter: TopologicalSorter[str] = TopologicalSorter(dict.fromkeys(names, ()))
    for edge in edges:
        sorter.add(edge.from_, edge.to)
    try:
        return list(sorter.static_order())
    except CycleError as error:
        circle = " → ".join(reversed(error.args[1]))
        raise DependencyCycle(
            f"These components need each other in a circle: {circle}.",
            where=circle,
            hint="Remove one of the needs, or declare it without a condition in iarnet.yaml.",
        ) from error


def closure(wanted: Sequence[str], names: Iterable[str], edges: Sequence[Edge]) -> set[str]:
    """`wanted` and everything that they need. Raises `InvalidInput` for a name that does not exist."""
    known = set(names)
    if unknown := sorted(set(wanted) - known):
        raise InvalidInput(
            f"There is no component {', '.join(unknown)}.",
            where=", ".join(unknown),
            hint=f"The components are {', '.join(sorted(known))}.",
        )
    found: set[str] = set()
    left = list(wanted)
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += [edge.to for edge in edges if edge.from_ == name]
    return found


def groups(names: Iterable[str], edges: Sequence[Edge]) -> list[set[str]]:
    """Components that reach each other over edges, in any direction."""
    parent = {name: name for name in names}

    def root(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    for edge in edges:
        parent[root(edge.from_)] = root(edge.to)
    found: dict[str, set[str]] = {}
    for name in parent:
        found.setdefault(root(name), set()).add(name)
    return list(found.values())
