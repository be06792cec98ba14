"""One program of a Node folder."""

from dataclasses import dataclass, field

from iarnet.analysis.ecosystems.node_frameworks import Delivery


@dataclass(frozen=True)
class Program:
    """`shown` is what people know it by (`npm run start`), `run` what that comes down to. `serves`: it is a server,
    though there are pages beside it."""

    shown: str
    run: str
    file: str
    line: int | None = None
    script: str | None = None
    delivery: Delivery = field(default_factory=Delivery)
    adds: tuple[str, ...] = ()
    serves: bool = False
