"""A tree in memory, and what an ecosystem says of it."""

import json
from collections.abc import Mapping
from typing import Any

from iarnet.analysis.base import Ecosystem, Profile
from iarnet.analysis.files import TreeFiles
from iarnet.analysis.memory import MemoryTree


def ask(ecosystem: Ecosystem, files: Mapping[str, str], root: str = ".", start: str | None = None) -> Profile | None:
    return ecosystem.recognise(TreeFiles(MemoryTree(files)), root, start)


def found(ecosystem: Ecosystem, files: Mapping[str, str], root: str = ".", start: str | None = None) -> Profile:
    profile = ask(ecosystem, files, root, start)
    assert profile is not None
    return profile


def port(profile: Profile) -> int | None:
    return profile.ports[0].port if profile.ports else None


def required(profile: Profile) -> set[str]:
    return {variable.name for variable in profile.env if variable.required}


def optional(profile: Profile) -> set[str]:
    return {variable.name for variable in profile.env if not variable.required and variable.value is None}


def given(profile: Profile) -> dict[str, str]:
    return {variable.name: variable.value for variable in profile.env if variable.value is not None}


def clue(profile: Profile, field: str) -> tuple[str, str, int | None]:
    """Value, file and line of the first clue for `field`."""
    return next((c.value, c.file, c.line) for c in profile.clues if c.field == field)


def codes(profile: Profile) -> list[str]:
    return [warning.code for warning in profile.warnings]


def package(**content: Any) -> str:
    return json.dumps(content, indent=2)
