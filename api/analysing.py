"""`CodeAnalysisService`: what the built-in analysis says of a folder of this node."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import grpc

from api import rpc
from iarnet.analysers.messages import response
from iarnet.analysers.projects import Projects
from iarnet.models.analysis import Analysis, Warning
from iarnet.rpc.analysis_pb2 import CodeAnalysisRequest, CodeAnalysisResponse
from iarnet.sources.base import Tree

SERVICE = "CodeAnalysisService"
_THREADS = 2


class CodeAnalysis:
    """In threads of its own, as whoever asks must not keep the node's from their work."""

    def __init__(self, projects: Projects, analyze: Callable[[Tree], Analysis]) -> None:
        self._projects = projects
        self._analyze = analyze
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="analysis")

    def handler(self) -> grpc.GenericRpcHandler:
        return rpc.service(SERVICE, {"AnalyzeCode": (self._analyze_code, CodeAnalysisRequest, CodeAnalysisResponse)})

    async def _analyze_code(self, request: CodeAnalysisRequest) -> CodeAnalysisResponse:
        loop = asyncio.get_running_loop()
        tree = await self._projects.tree(request.project_path)
        found = await loop.run_in_executor(self._threads, partial(self._analyze, tree))
        told = {"language": request.language, "framework": request.framework}
        doubts = tuple(_doubt(found, name, value) for name, value in told.items() if not _is_so(found, name, value))
        return response(found.model_copy(update={"warnings": (*found.warnings, *doubts)}))


def _is_so(found: Analysis, name: str, value: str) -> bool:
    return not value or any((getattr(each, name) or "").lower() == value.lower() for each in found.components)


def _doubt(found: Analysis, name: str, value: str) -> Warning:
    seen = ", ".join(sorted({getattr(each, name) for each in found.components} - {None})) or "none"
    return Warning(code="not-as-told", message=f"no component has the {name} {value[:100]!r}; found: {seen}")
