"""The builder of a node that has no engine to build with."""

from collections.abc import AsyncIterator, Callable

from iarnet.builds.names import content_hash, image_name
from iarnet.errors import Missing
from iarnet.models.component import Build
from iarnet.models.image import BuildRequest, BuildResult
from iarnet.sources.base import Tree


class AbsentBuilder:
    """Refuses to build; what only needs images that can be pulled is deployed all the same."""

    async def build(self, request: BuildRequest, on_line: Callable[[str], None]) -> BuildResult:
        """Raises `Missing`."""
        raise Missing(
            f"{request.component} has to be built, and this node has no Docker engine to build with.",
            where=request.component,
            hint="Start Docker here, or set docker.host; `iarnet doctor` says more.",
        )

    def name_image(self, app: str, tree: Tree, build: Build) -> str:
        """A name to plan with."""
        return image_name(app, content_hash(tree, build), build)

    async def forget(self, app: str) -> None:
        return

    async def has(self, image: str) -> bool:
        return False

    async def export(self, image: str) -> AsyncIterator[bytes]:
        """Raises `Missing`: there is nothing to export."""
        raise Missing(f"This node has no image {image}.", where=image, hint="Start Docker here, or set docker.host.")
        yield b""
