"""Tests of several files share an engine at the same time, and an app's name is taken there once."""

import re
from pathlib import Path

END_TO_END = Path(__file__).parents[2] / "e2e"
NAMED = re.compile(r'"--name", "([a-z0-9-]+)"|\biarnet-([a-z0-9]+)-|"app": "([a-z0-9-]+)"')


def test_no_two_files_deploy_an_app_of_the_same_name() -> None:
    users: dict[str, set[str]] = {}
    for file in END_TO_END.glob("test_*.py"):
        for found in NAMED.finditer(file.read_text()):
            users.setdefault(next(filter(None, found.groups())), set()).add(file.name)
    assert len(users) > 50, "the names are still written in this way"
    assert {name: files for name, files in users.items() if len(files) > 1} == {}
