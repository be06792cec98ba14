"""A project and what somebody else says of it."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Case:
    """`None`: nothing is expected of this measure. `ports`: all of them must be found; `components`: how many.

    `composed`: the compose file (relative to `path`) that is read, and then hidden.
    """

    corpus: str
    name: str
    path: Path
    language: str | None = None
    framework: str | None = None
    start: str | None = None
    ports: tuple[int, ...] | None = None
    components: int | None = None
    composed: str | None = None
