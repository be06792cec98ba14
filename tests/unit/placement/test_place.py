from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iarnet.errors import NoRoom
from iarnet.models.placement import Demand
from iarnet.models.provider import ProviderHealth, ProviderInfo, ProviderState
from iarnet.models.resources import GIB, MIB, Capacity, Resources
from iarnet.placement.filters import free
from iarnet.placement.place import place


def provider(name: str, memory: int = GIB, **more: object) -> ProviderState:
    total = Resources(cpu_millis=2000, memory_bytes=memory, storage_bytes=10 * GIB)
    used = more.pop("used", Resources())
    fields = {k: more.pop(k) for k in ("reserved", "ours", "status") if k in more}
    return ProviderState(
        info=ProviderInfo(id=name, name=name, type="memory", **more),
        capacity=Capacity(total=total, used=used, available=total.minus(used)),
        health=ProviderHealth(reachable=True),
        seen_at=datetime(2026, 1, 1, tzinfo=UTC),
        **{"status": "active", **fields},
    )


def demand(name: str, memory: int = 100 * MIB, **more: object) -> Demand:
    return Demand(component=name, resources=Resources(memory_bytes=memory), **more)


def test_no_provider_at_all_says_what_to_do() -> None:
    with pytest.raises(NoRoom, match="no provider") as error:
        place([[demand("web")]], [])
    assert "Docker" in error.value.hint


def test_every_loser_says_why() -> None:
    states = [
        provider("small", 50 * MIB),
        provider("gone", status="unreachable"),
        provider("big"),
    ]
    assignment = place([[demand("web")]], states).assignments[0]
    assert assignment.provider_id == "big"
    assert {r.provider_id: r.filter for r in assignment.rejections} == {"small": "resources", "gone": "status"}
    assert "100 MiB wanted, 50 MiB free" in next(r.reason for r in assignment.rejections if r.provider_id == "small")


def test_what_is_connected_stays_together() -> None:
    states = [provider("p", 250 * MIB), provider("q", 400 * MIB)]
    placement = place([[demand("a"), demand("b"), demand("c")]], states)
    assert {a.provider_id for a in placement.assignments} == {"q"}


def test_a_pinned_component_pulls_its_group_or_fails_clearly() -> None:
    states = [provider("p"), provider("q", 50 * MIB)]
    with pytest.raises(NoRoom, match="db stays on q"):
        place([[demand("db", pinned="q", pinned_because="its data is there"), demand("web")]], states)


def test_use_by_others_counts_and_ours_counts_once() -> None:
    state = provider(
        "p",
        1000 * MIB,
        used=Resources(memory_bytes=600 * MIB),
        ours=Resources(memory_bytes=200 * MIB),
        reserved=Resources(memory_bytes=300 * MIB),
    )
    assert free(state).memory_bytes == 300 * MIB


def test_ties_go_to_the_internal_provider() -> None:
    states = [provider("a", origin="discovered"), provider("b", origin="internal"), provider("c", origin="external")]
    assert place([[demand("web")]], states).assignments[0].provider_id == "b"


@given(
    st.lists(st.lists(st.integers(1, 400), min_size=1, max_size=4), max_size=6),
    st.lists(st.integers(100, 1000), min_size=1, max_size=4),
)
def test_nothing_is_oversubscribed(wants: list[list[int]], sizes: list[int]) -> None:
    groups = [[demand(f"c{i}-{j}", m * MIB) for j, m in enumerate(g)] for i, g in enumerate(wants)]
    states = [provider(f"p{i}", m * MIB) for i, m in enumerate(sizes)]
    try:
        placement = place(groups, states)
    except NoRoom:
        return
    for i, size in enumerate(sizes):
        here = [d for g in groups for d in g if placement.provider_of(d.component) == f"p{i}"]
        assert sum(d.resources.memory_bytes for d in here) <= size * MIB
