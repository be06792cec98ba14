"""What all tests share: where Docker is, and what to do when something is missing."""

import os

import pytest


def missing(what: str) -> None:
    """Skip on a developer's machine; on CI everything has to be there."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is missing, and CI must have it")
    pytest.skip(f"{what} is missing on this machine")
