"""Images: how they are named and made."""

from pydantic import Field

from iarnet.models.base import AppName, ComponentName, Value
from iarnet.models.component import Build


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
