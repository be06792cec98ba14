"""The analysis that is part of this program."""

import asyncio
from collections.abc import Callable

from iarnet.models.analysis import Analysis
from iarnet.sources.base import Sources, Tree


class BuiltIn:
    """`iarnet.analysers.base.Analyser`. `analyze` is pure, and takes a while: it runs in a thread."""

    def __init__(self, sources: Sources, analyze: Callable[[Tree], Analysis]) -> None:
        self._sources = sources
        self._analyze = analyze

    async def analyze(self, app: str, tree: str, folder: str) -> Analysis:
        whole = await self._sources.tree(app, tree)
        part = whole.subtree(folder) if folder else whole
        return await asyncio.to_thread(self._analyze, part)
