from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from temporalio.testing import ActivityEnvironment

from activities.building import LINES_KEPT, Building
from iarnet.models.component import Build
from iarnet.models.image import BuildRequest, BuildResult
from iarnet.models.plan import Operation
from iarnet.models.work import Effect
from iarnet.store.journal import BUILD_LOG_LINES


class Chatty:
    """A builder that says much."""

    async def build(self, request: BuildRequest, on_line: Callable[[str], None]) -> BuildResult:
        for n in range(10_000):
            on_line(str(n))
        return BuildResult(image=request.image, digest="d", cached=False, duration_s=0)


async def test_no_more_is_held_of_the_output_than_is_stored() -> None:
    saved: list[tuple[str, ...]] = []

    async def save(app: str, component: str, image: str, lines: tuple[str, ...]) -> None:
        saved.append(lines)

    store: Any = SimpleNamespace(facts=SimpleNamespace(save_build_log=save))
    request = BuildRequest(app="shop", component="web", tree="t", build=Build(context="."), image="i")
    operation = Operation(id="b", kind="build", build=request)
    effect = Effect(app="shop", deployment_id="d", epoch=1, operation=operation)
    await ActivityEnvironment().run(Building(store, Chatty()).build_image, effect)  # type: ignore[arg-type]
    assert LINES_KEPT == BUILD_LOG_LINES
    assert saved == [tuple(str(n) for n in range(10_000 - BUILD_LOG_LINES, 10_000))]
