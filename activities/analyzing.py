"""From a tree to components, once per tree."""

from temporalio import activity

from activities.heartbeat import heartbeating
from iarnet.analysers.base import Analyser, is_final
from iarnet.errors import NotFound
from iarnet.models.analysis import Analysis
from iarnet.models.change import AnalyzeRequest, AnalyzeResult
from iarnet.models.source import Source
from iarnet.store.base import Store


class Analyzing:
    def __init__(self, store: Store, analyser: Analyser) -> None:
        self._store = store
        self._analyser = analyser

    @activity.defn
    async def analyze_source(self, request: AnalyzeRequest) -> AnalyzeResult:
        """Analyse the tree of a commit, or return what is stored for it and still would be said."""
        async with heartbeating():
            source = await self._store.facts.source(request.app, request.commit)
            if source is None:
                raise NotFound(
                    f"{request.app} has no imported commit {request.commit or ''}".rstrip() + ".",
                    where=request.app,
                    hint=f"iarnet import {request.app}",
                )
            analysis = await self._store.facts.analysis(request.app, source.part)
            if analysis is not None and is_final(analysis):
                return _result(source, analysis, cached=True)
            found = await self._analyser.analyze(request.app, source.tree, source.git.subdir)
            found = found.model_copy(update={"tree": source.part})
            await self._store.facts.save_analysis(request.app, found)
            return _result(source, found, cached=False)


def _result(source: Source, analysis: Analysis, *, cached: bool) -> AnalyzeResult:
    return AnalyzeResult(
        app=source.app,
        commit=source.commit,
        tree=analysis.tree,
        components=tuple(c.name for c in analysis.components),
        edges=len(analysis.edges),
        warnings=tuple(w.message for w in analysis.warnings),
        cached=cached,
    )
