"""One program among those that a Python folder holds."""

from dataclasses import dataclass

from iarnet.models.component import ComponentKind


@dataclass(frozen=True)
class Program:
    """`file` and `line` are where it was seen. `listens`: it serves a port; `file_only`: the one that the code of
    `file` opens, if it opens one. `needs` are packages that the command itself needs."""

    start: str
    framework: str | None
    kind: ComponentKind
    file: str
    line: int | None = None
    listens: bool = False
    file_only: bool = False
    needs: tuple[str, ...] = ()
    confidence: float = 0.9
