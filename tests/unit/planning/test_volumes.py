"""A description that changes its order or its names takes nobody's data away."""

import pytest

from iarnet.models.component import Component, Volume
from iarnet.planning.volumes import with_data_kept

PG = Volume(name="pg", path="/data")


def mounting(name: str, of: str | None = None, path: str = "/data") -> Component:
    return Component(name=name, kind="worker", image="i", volumes=(PG.model_copy(update={"of": of, "path": path}),))


def owners(components: tuple[Component, ...]) -> dict[str, str]:
    return {c.name: v.of or c.name for c in components for v in c.volumes}


ALONE = [mounting("db")]
SHARED = [mounting("db"), mounting("backup", "db", "/from")]


@pytest.mark.parametrize(
    ("before", "now", "kept"),
    [
        ([], ALONE, {"db": "db"}),
        (ALONE, SHARED, {"db": "db", "backup": "db"}),
        (ALONE, [mounting("backup", path="/from"), mounting("db", "backup")], {"db": "db", "backup": "db"}),
        (SHARED, [mounting("backup", path="/from")], {"backup": "db"}),
        (ALONE, [mounting("postgres")], {"postgres": "db"}),
        (ALONE, [mounting("postgres", path="/elsewhere")], {"postgres": "postgres"}),
        (SHARED, [mounting("db"), mounting("backup", path="/from")], {"db": "db", "backup": "backup"}),
        ([mounting("a"), mounting("b")], [mounting("c")], {"c": "c"}),
    ],
    ids=[
        "begins",
        "is joined",
        "is joined by one that comes first",
        "is left by its owner",
        "is called otherwise",
        "is another one",
        "is no longer shared",
        "may be one of two",
    ],
)
def test_a_volume_is_where_its_data_lies(before: list[Component], now: list[Component], kept: dict[str, str]) -> None:
    found = with_data_kept(now, before)
    assert owners(found) == kept
    assert owners(with_data_kept(now, found)) == kept, "and the same from there on"
