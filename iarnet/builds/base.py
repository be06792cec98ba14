"""Making images."""

from collections.abc import Callable
from typing import Protocol

from iarnet.models.image import BuildRequest, BuildResult


class Builder(Protocol):
    async def build(self, request: BuildRequest, on_line: Callable[[str], None]) -> BuildResult:
        """Build unless the tag exists already. Raises `BuildFailed` with the last lines and the failing step."""
        ...

    async def forget(self, app: str) -> None:
        """Remove the images that were built for the app and that nothing uses."""
        ...
