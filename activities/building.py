"""Making images, with the output kept."""

from collections import deque

from temporalio import activity

from activities.heartbeat import heartbeating
from iarnet import faults
from iarnet.builds.base import Builder
from iarnet.errors import IarnetError
from iarnet.models.image import BuildRequest, BuildResult
from iarnet.models.work import Effect
from iarnet.store.base import Store

LINES_KEPT = 2000
"""As many as the store keeps (`iarnet.store.journal`)."""


class Building:
    def __init__(self, store: Store, builder: Builder) -> None:
        self._store = store
        self._builder = builder

    @activity.defn
    async def build_image(self, effect: Effect) -> BuildResult:
        """Build, or find it built. The output is kept with the component, also of a build that failed."""
        request = effect.operation.build
        assert request is not None, "a build operation carries its request"
        lines: deque[str] = deque(maxlen=LINES_KEPT)
        async with heartbeating():
            try:
                result = await self._builder.build(request, lines.append)
                faults.reached("image.built")
            except IarnetError as error:
                error.component = request.component
                raise
            finally:
                await self._keep(request, lines)
        return result.model_copy(update={"log": result.log[-5:]})

    async def _keep(self, request: BuildRequest, lines: deque[str]) -> None:
        if lines:
            await self._store.facts.save_build_log(request.app, request.component, request.image, tuple(lines))
