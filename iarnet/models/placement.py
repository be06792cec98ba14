"""Which component runs where, and why."""

from iarnet.models.base import ComponentName, Value
from iarnet.models.resources import Resources


class Demand(Value):
    """What placement is asked for: one component, with `pinned` when it must be on one provider."""

    component: ComponentName
    resources: Resources
    replicas: int = 1
    needs_volumes: bool = False
    needs_publish: bool = False
    labels: dict[str, str] = {}
    pinned: str | None = None
    pinned_because: str = ""


class Score(Value):
    """The sum of `parts` (scorer -> weighted value, 0 to 1 before weighting)."""

    provider_id: str
    total: float
    parts: dict[str, float]


class Rejection(Value):
    provider_id: str
    filter: str
    reason: str


class Assignment(Value):
    """The choice for one component, with every score and every rejection behind it."""

    component: ComponentName
    provider_id: str
    scores: tuple[Score, ...] = ()
    rejections: tuple[Rejection, ...] = ()
    reason: str = ""


class Placement(Value):
    assignments: tuple[Assignment, ...] = ()
    policy: str = "fit"

    def provider_of(self, component: str) -> str | None:
        return next((a.provider_id for a in self.assignments if a.component == component), None)
