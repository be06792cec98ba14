"""Whose a volume is: a description says who mounts it, the last revision where the data is."""

from collections import defaultdict
from collections.abc import Sequence

from iarnet.models.component import Component, Volume


def with_data_kept(components: Sequence[Component], before: Sequence[Component]) -> tuple[Component, ...]:
    """Each volume stays that of the component under whose name its data lies, also where another one is the first to
    mount it by now, or that component is called otherwise. `before`: the last revision."""
    mounts: dict[tuple[str, str], list[tuple[Component, Volume]]] = defaultdict(list)
    for component in components:
        for volume in component.volumes:
            mounts[_owner(component, volume), volume.name].append((component, volume))
    known = _Known(components, before)
    owners = {key: known.owner(key[0], sharing) for key, sharing in mounts.items()}

    def kept(component: Component, volume: Volume) -> Volume:
        owner = owners[_owner(component, volume), volume.name]
        return volume.model_copy(update={"of": owner if owner != component.name else None})

    return tuple(c.model_copy(update={"volumes": tuple(kept(c, v) for v in c.volumes)}) for c in components)


class _Known:
    """Where the data of the last revision lies."""

    def __init__(self, components: Sequence[Component], before: Sequence[Component]) -> None:
        self._names = {component.name for component in components}
        self._before = {c.name: {(v.name, v.path): _owner(c, v) for v in c.volumes} for c in before}
        self._gone: dict[tuple[str, str], set[str]] = defaultdict(set)
        for name in self._before.keys() - self._names:
            for place, owner in self._before[name].items():
                self._gone[place].add(owner)

    def owner(self, named: str, sharing: Sequence[tuple[Component, Volume]]) -> str:
        """Of one volume, by those who share it. One who has left them keeps its own."""
        found = [self._found(component.name, (volume.name, volume.path)) for component, volume in sharing]
        sharers = {component.name for component, _ in sharing}
        return next((owner for owner in found if owner and (owner in sharers or owner not in self._names)), named)

    def _found(self, component: str, place: tuple[str, str]) -> str:
        """What is new may be what is gone, under another name."""
        if component in self._before:
            return self._before[component].get(place, "")
        gone = self._gone[place]
        return next(iter(gone)) if len(gone) == 1 else ""


def _owner(component: Component, volume: Volume) -> str:
    return volume.of or component.name
