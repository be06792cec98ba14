"""Images: how they are named and made."""

import re

from pydantic import Field

from iarnet.models.base import AppName, ComponentName, Value
from iarnet.models.component import Build

_MADE_HERE = re.compile(r"(?:(?:index\.)?docker\.io/)?iarnet/[a-z0-9-]+:[0-9a-f]{16}")


def made_here(image: str) -> bool:
    """Whether it is called as what a node builds is (`iarnet/{app}:{16 hex digits}`): then it holds an app's code."""
    return _MADE_HERE.fullmatch(image) is not None


class BuildRequest(Value):
    """Build `component` of `app` from `tree` and tag it `image`, a name that its content decides."""

    app: AppName
    component: ComponentName
    tree: str
    subdir: str = ""
    build: Build
    image: str


class BuildResult(Value):
    """`cached`: the image was there already. `log` holds the last lines of the output."""

    image: str
    digest: str
    cached: bool
    duration_s: float = Field(ge=0)
    log: tuple[str, ...] = ()
