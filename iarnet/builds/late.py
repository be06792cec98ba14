"""The builder of a node whose engine may be found after the node has started."""

from collections.abc import AsyncIterator, Callable

from iarnet.builds.absent import AbsentBuilder
from iarnet.builds.docker import DockerBuilder
from iarnet.models.component import Build
from iarnet.models.image import BuildRequest, BuildResult
from iarnet.sources.base import Tree


class LateBuilder:
    """Refuses to build until `use`; `make` turns the URL of an engine into its builder."""

    def __init__(self, make: Callable[[str], DockerBuilder]) -> None:
        self._make = make
        self._builder: DockerBuilder | AbsentBuilder = AbsentBuilder()

    def use(self, url: str) -> None:
        self._builder = self._make(url)

    async def build(self, request: BuildRequest, on_line: Callable[[str], None]) -> BuildResult:
        return await self._builder.build(request, on_line)

    def name_image(self, app: str, tree: Tree, build: Build) -> str:
        return self._builder.name_image(app, tree, build)

    async def forget(self, app: str) -> None:
        await self._builder.forget(app)

    async def has(self, image: str) -> bool:
        return await self._builder.has(image)

    def export(self, image: str) -> AsyncIterator[bytes]:
        return self._builder.export(image)
