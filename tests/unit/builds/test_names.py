import re

import pytest

from iarnet.builds.names import image_name
from iarnet.models.component import Build

BUILD = Build(context="web", dockerfile="web/Dockerfile")


def test_a_name_is_one_that_engines_take() -> None:
    name = image_name("shop", "a" * 64, BUILD)
    assert re.fullmatch(r"iarnet/shop:[0-9a-f]{16}", name)
    assert name == image_name("shop", "a" * 64, BUILD, args={}, base_images={})


@pytest.mark.parametrize(
    "change",
    [
        {"content": "b"},
        {"build": BUILD.model_copy(update={"target": "x"})},
        {"build": BUILD.model_copy(update={"args": {"A": "1"}})},
        {"build": Build(context="web", recipe="FROM a\n")},
        {"args": {"A": "1"}},
        {"base_images": {"python": "mirror/python"}},
    ],
)
def test_everything_that_changes_the_image_changes_its_name(change: dict[str, object]) -> None:
    same: dict[str, object] = {"app": "shop", "content": "a", "build": BUILD}
    assert image_name(**same) != image_name(**{**same, **change})  # type: ignore[arg-type]
