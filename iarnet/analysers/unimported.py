"""Analysis of a repository that is not imported, and leaves nothing behind."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from iarnet.analysers.base import Analyser
from iarnet.analysers.scratch import Scratch
from iarnet.models.analysis import Analysis
from iarnet.models.source import GitSource
from iarnet.sources.base import Sources

_AT_ONCE = 4
_NAME = "analysis"


class Unimported:
    """`sources` makes an object store in a folder; `analyser` is for what lies in there."""

    def __init__(
        self, scratch: Scratch, sources: Callable[[Path], Sources], analyser: Callable[[Sources], Analyser]
    ) -> None:
        self._scratch = scratch
        self._sources = sources
        self._analyser = analyser
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def analyze(self, git: GitSource) -> Analysis:
        """Raises as `Sources.fetch` and `Analyser.analyze` do."""
        async with self._turns, self._scratch.folder() as place:
            sources = self._sources(place)
            source = await sources.fetch(_NAME, git, await sources.resolve(git))
            found = await self._analyser(sources).analyze(_NAME, source.tree, git.subdir)
            return found.model_copy(update={"tree": source.part})
