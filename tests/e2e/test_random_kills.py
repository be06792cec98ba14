"""The node and its Temporal killed at random while people change applications: nothing that was promised is lost.

`make chaos` does the same many more times.
"""

import secrets
from pathlib import Path

import pytest

from chaos.storm import storm
from chaos.worlds import WORLDS

pytestmark = [pytest.mark.e2e, pytest.mark.docker, pytest.mark.timeout(600)]


@pytest.mark.parametrize(("world", "kills", "apps"), [("memory", 40, 2), ("Docker", 10, 2)])
def test_nothing_is_lost(tmp_path: Path, world: str, kills: int, apps: int) -> None:
    seed = secrets.randbelow(1_000_000)
    with WORLDS[world](tmp_path) as made:
        outcome = storm(made, kills=kills, apps=apps, seed=seed)
        assert outcome.bad == [], f"with the seed {seed}:\n{made.node.tail(100)}"
    assert len(outcome.kills) == kills
    assert len(outcome.promises) >= apps
