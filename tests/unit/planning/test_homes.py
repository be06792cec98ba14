"""Which node carries out what concerns an application."""

from datetime import UTC, datetime, timedelta

import pytest

from iarnet.models.instance import Instance
from iarnet.models.provider import ProviderHealth, ProviderInfo, ProviderState, ProviderStatus
from iarnet.models.resources import GIB, Capacity, Resources
from iarnet.planning.homes import ABSENT_S, carrier, is_absent

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def at(home: str, gib: int = 1, status: ProviderStatus = "active", age_s: float = 0.0) -> ProviderState:
    room = Resources(memory_bytes=gib * GIB)
    return ProviderState(
        info=ProviderInfo(id=f"docker-{home}", name=home, type="docker", home=home),
        status=status,
        capacity=Capacity(total=room, used=Resources(), available=room),
        health=ProviderHealth(reachable=status == "active"),
        seen_at=NOW - timedelta(seconds=age_s),
    )


def on(home: str) -> Instance:
    return Instance(
        name="web", app="shop", component="web", provider_id=f"docker-{home}", spec_hash="h", state="running"
    )


@pytest.mark.parametrize(
    ("states", "instances", "expected"),
    [
        ([], [], "me"),
        ([at("me"), at("big", 9)], [], "me"),
        ([at("small", 1), at("big", 9)], [], "big"),
        ([at("small", 1), at("big", 9, "unreachable")], [], "small"),
        ([at("small", 1), at("gone", 9, age_s=ABSENT_S + 1)], [], "small"),
        ([at("gone", 9, age_s=ABSENT_S + 1)], [], "me"),
        ([at("me"), at("other")], [on("other")], "other"),
        ([at("me"), at("gone", age_s=3600)], [on("gone")], "gone"),
        ([at("me"), at("other")], [on("other"), on("me")], "me"),
        ([at("me")], [on("forgotten")], "me"),
    ],
)
def test_the_carrier(states: list[ProviderState], instances: list[Instance], expected: str) -> None:
    assert carrier("me", states, instances, NOW) == expected


def test_what_was_not_seen_for_a_minute_is_absent() -> None:
    assert not is_absent(at("me", age_s=ABSENT_S), NOW)
    assert is_absent(at("me", age_s=ABSENT_S + 0.1), NOW)
