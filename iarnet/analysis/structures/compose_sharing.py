"""Volumes that several compose services mount."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from iarnet.analysis.base import Clue
from iarnet.analysis.structures.compose_mounts import Kept
from iarnet.analysis.structures.nodes import Node
from iarnet.models.component import Volume
from iarnet.models.edge import Edge


@dataclass
class Sharing:
    """A volume belongs to the first component that mounts it; the others have to run where that does."""

    keepers: dict[str, str] = field(default_factory=dict)
    pairs: dict[tuple[str, str], Node] = field(default_factory=dict)

    def kept(self, component: str, named_by: str, each: Kept) -> Volume:
        """As `component` has it. `named_by`: in whose `volumes` it stands; there it is, when it has no name."""
        keeper = self.keepers.setdefault(each.source or f"{named_by}:{each.volume.path}", named_by)
        if keeper == component:
            return each.volume
        self.pairs.setdefault((component, keeper), each.node)
        return each.volume.model_copy(update={"of": keeper})

    def edges(self, known: Iterable[Edge]) -> Iterator[tuple[Edge, Clue]]:
        """From each to the keeper, unless edges connect the two already: then one more could make a circle."""
        found = list(known)
        for (name, keeper), node in self.pairs.items():
            if keeper not in _connected(name, found):
                edge = Edge(from_=name, to=keeper, type="volume", condition="started")
                found.append(edge)
                yield edge, Clue(f"{name}->{keeper}", "started", node.path, node.line)


def _connected(name: str, edges: list[Edge]) -> set[str]:
    found, before = {name}, set[str]()
    while found != before:
        before = set(found)
        found |= {end for edge in edges if {edge.from_, edge.to} & before for end in (edge.from_, edge.to)}
    return found
