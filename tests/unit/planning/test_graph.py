import pytest

from iarnet.errors import DependencyCycle, InvalidInput
from iarnet.models.edge import Edge
from iarnet.planning.graph import closure, groups, order

EDGES = [Edge(from_="web", to="api"), Edge(from_="api", to="db")]


def test_a_circle_is_named() -> None:
    with pytest.raises(DependencyCycle) as error:
        order(["web", "api", "db"], [*EDGES, Edge(from_="db", to="web")])
    assert {"web", "api", "db"} <= set(error.value.where.split(" → "))
    assert error.value.hint


def test_what_is_needed_stands_first() -> None:
    assert order(["web", "api", "db"], EDGES) == ["db", "api", "web"]


def test_a_component_brings_what_it_needs() -> None:
    assert closure(["api"], ["web", "api", "db"], EDGES) == {"api", "db"}


def test_an_unknown_component_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidInput) as error:
        closure(["ap"], ["web", "api"], EDGES)
    assert "api" in error.value.hint


def test_groups_are_what_is_connected() -> None:
    found = groups(["web", "api", "db", "other"], EDGES)
    assert sorted(sorted(g) for g in found) == [["api", "db", "web"], ["other"]]
