"""An application and the immutable states that were asked of it."""

from typing import Any, Literal

from pydantic import Field

from iarnet.models.base import AppName, Time, Value
from iarnet.models.component import Component
from iarnet.models.edge import Edge
from iarnet.models.source import GitSource

AppStatus = Literal["idle", "deploying", "running", "degraded", "stopping", "stopped", "failed", "deleting"]


class Settings(Value):
    """What a user changes about an app without a commit. Keys are `component.field` (`web.replicas`) or
    `component.env.NAME`; each wins over analysis.

    `secrets` maps `component.env.NAME` to the name of a stored secret. `observed` is what nobody has set, and a start
    has shown to be otherwise than analysis says (`web.port`).
    """

    values: dict[str, str] = {}
    secrets: dict[str, str] = {}
    observed: dict[str, str] = {}


class App(Value):
    """`epoch` is raised by the first activity of each change; `revision` is the one that runs (0: none)."""

    name: AppName
    title: str = ""
    git: GitSource
    status: AppStatus = "idle"
    settings: Settings = Settings()
    commit: str | None = None
    revision: int = 0
    epoch: int = 0
    created_at: Time
    updated_at: Time


class Revision(Value):
    """An immutable desired state. `number` starts at 1; `images` maps component to image.

    `subdir` is the folder of `tree` that is the application.
    """

    app: AppName
    number: int = Field(ge=1)
    commit: str
    tree: str
    subdir: str = ""
    components: tuple[Component, ...]
    edges: tuple[Edge, ...] = ()
    images: dict[str, str] = {}
    settings: Settings = Settings()
    created_at: Time

    def component(self, name: str) -> Component | None:
        return next((c for c in self.components if c.name == name), None)


class Event(Value):
    """One line of an app's story, numbered per node."""

    id: int = 0
    time: Time
    app: str
    component: str = ""
    instance: str = ""
    kind: str
    message: str
    data: dict[str, Any] = {}
