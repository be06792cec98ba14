"""What analysis says about one tree of files."""

from typing import Literal

from pydantic import Field

from iarnet.models.base import Value
from iarnet.models.component import Component
from iarnet.models.edge import Edge


class Evidence(Value):
    """Where a fact comes from. `fact` is `component`, `component.field` or `from->to`."""

    fact: str
    value: str
    file: str
    line: int | None = Field(default=None, ge=1)
    confidence: float = Field(default=1.0, ge=0, le=1)
    detector: str = ""


class Warning(Value):
    """Something a person should know: a contradiction, a guess, a thing not understood."""

    code: str
    message: str
    file: str | None = None
    line: int | None = None
    severity: Literal["info", "warning"] = "warning"


class Analysis(Value):
    """`tree` is what was read (`Source.part`); the same tree always gives the same analysis."""

    tree: str
    components: tuple[Component, ...] = ()
    edges: tuple[Edge, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    warnings: tuple[Warning, ...] = ()
    version: int = 1
