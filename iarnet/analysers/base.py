"""Who says what is in a repository: the built-in analysis, or a program elsewhere."""

from typing import Protocol

from iarnet.models.analysis import Analysis


class Analyser(Protocol):
    async def analyze(self, app: str, tree: str, folder: str) -> Analysis:
        """Of the folder of a tree that was fetched for the app; "" is all of it. Raises `NotFound` when that is not
        here, `InvalidComponent`, `NothingToRun`."""
        ...


FELL_BACK = "analyser-failed"
"""The code of the warning that somebody else was asked, and could not say."""


def is_final(analysis: Analysis) -> bool:
    """Whether asking again would change nothing."""
    return all(warning.code != FELL_BACK for warning in analysis.warnings)
