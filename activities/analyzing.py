"""From a tree to components, once per tree."""

import asyncio
from collections.abc import Callable

from temporalio import activity

from activities.heartbeat import heartbeating
from iarnet.errors import NotFound
from iarnet.models.analysis import Analysis
from iarnet.models.change import AnalyzeRequest, AnalyzeResult
from iarnet.models.source import Source
from iarnet.sources.base import Sources, Tree
from iarnet.store.base import Store

Analyze = Callable[[Tree], Analysis]


class Analyzing:
    def __init__(self, store: Store, sources: Sources, analyze: Analyze) -> None:
        self._store = store
        self._sources = sources
        self._analyze = analyze

    @activity.defn
    async def analyze_source(self, request: AnalyzeRequest) -> AnalyzeResult:
        """Analyse the tree of a commit, or return what is stored for it."""
        async with heartbeating():
            source = await self._store.facts.source(request.app, request.commit)
            if source is None:
                raise NotFound(
                    f"{request.app} has no imported commit {request.commit or ''}".rstrip() + ".",
                    where=request.app,
                    hint=f"iarnet import {request.app}",
                )
            analysis = await self._store.facts.analysis(request.app, source.part)
            if cached := analysis is not None:
                return _result(source, analysis, cached)
            tree = await self._sources.tree(request.app, source.tree)
            part = tree.subtree(source.git.subdir) if source.git.subdir else tree
            found = await asyncio.to_thread(self._analyze, part)
            found = found.model_copy(update={"tree": source.part})
            await self._store.facts.save_analysis(request.app, found)
            return _result(source, found, cached)


def _result(source: Source, analysis: Analysis, cached: bool) -> AnalyzeResult:
    return AnalyzeResult(
        app=source.app,
        commit=source.commit,
        tree=analysis.tree,
        components=tuple(c.name for c in analysis.components),
        edges=len(analysis.edges),
        warnings=tuple(w.message for w in analysis.warnings),
        cached=cached,
    )
