"""The node and its Temporal killed, or without room on their disk, at random while people change applications:
nothing that was promised is lost.

`make chaos` does the same many more times.
"""

import secrets
from pathlib import Path

import pytest

from chaos.disk import on_small_disk
from chaos.storm import Outcome, storm
from chaos.storms import WORLDS

pytestmark = [pytest.mark.e2e, pytest.mark.docker, pytest.mark.timeout(600)]


@pytest.mark.parametrize(("world", "kills", "apps"), [("memory", 40, 2), ("Docker", 10, 2)])
def test_nothing_is_lost(tmp_path: Path, world: str, kills: int, apps: int) -> None:
    outcome = Outcome(world, secrets.randbelow(1_000_000), kills)
    with WORLDS[world](tmp_path) as made:
        storm(made, outcome, apps=apps)
        assert outcome.bad == [], f"with the seed {outcome.seed}:\n{made.node.tail(100)}"
    assert outcome.finished
    assert len(outcome.promises) >= apps


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    outcome = Outcome("full disk", secrets.randbelow(1_000_000), 2)
    with on_small_disk(tmp_path, longest_s=4.0) as made:
        storm(made, outcome, apps=2)
        assert outcome.bad == [], f"with the seed {outcome.seed}:\n{made.node.tail(100)}"
    assert outcome.finished
    assert len(outcome.promises) >= 2
