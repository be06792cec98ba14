"""`place`: pure, the same answer for the same snapshot, with the reasons for every choice."""

from collections.abc import Sequence

from iarnet.errors import NoRoom
from iarnet.models.placement import Assignment, Demand, Placement, Rejection
from iarnet.models.provider import ProviderState
from iarnet.models.resources import Resources
from iarnet.placement.filters import reject
from iarnet.placement.scorers import score

_GET_ONE = (
    "Start Docker on this machine, or connect a provider: iarnet providers add; `iarnet providers ls` shows them."
)
_ASK_LESS = "Ask for less (`--set COMPONENT.memory=128Mi`), free something, or add a provider."


def place(groups: Sequence[Sequence[Demand]], providers: Sequence[ProviderState], policy: str = "fit") -> Placement:
    """A provider for each group of components that must be together (they reach each other by name, and names end
    at a provider's network). Raises `NoRoom` with why each provider lost.

    Largest group first; each choice counts as reserved for the following ones.
    """
    states = {state.info.id: state for state in providers}
    assignments: list[Assignment] = []
    for group in sorted(groups, key=lambda g: (-_wanted(g).memory_bytes, g[0].component)):
        chosen = _choose(group, list(states.values()), policy)
        assignments += chosen
        state = states[chosen[0].provider_id]
        states[state.info.id] = state.model_copy(update={"reserved": state.reserved + _wanted(group)})
    return Placement(assignments=tuple(assignments), policy=policy)


def _choose(group: Sequence[Demand], states: Sequence[ProviderState], policy: str) -> list[Assignment]:
    verdicts = [(state, reject(group, state)) for state in states]
    rejections = tuple(no for _, no in verdicts if no)
    scores = sorted(
        (score(group, state, policy) for state, no in verdicts if not no), key=lambda s: (-s.total, s.provider_id)
    )
    if not scores:
        raise _no_room(group, rejections)
    reason = _reason(group, len(scores), len(states))
    return [
        Assignment(
            component=demand.component,
            provider_id=scores[0].provider_id,
            scores=tuple(scores),
            rejections=rejections,
            reason=reason,
        )
        for demand in group
    ]


def _reason(group: Sequence[Demand], fitting: int, known: int) -> str:
    if stays := next((d for d in group if d.pinned), None):
        return f"{stays.component} stays where it is: {stays.pinned_because}"
    together = f", together with {len(group) - 1} it is connected to" if len(group) > 1 else ""
    return f"best of {fitting} that can take it ({known} known){together}"


def _no_room(group: Sequence[Demand], rejections: Sequence[Rejection]) -> NoRoom:
    names = ", ".join(d.component for d in group)
    why = "; ".join(f"{r.provider_id}: {r.reason.rstrip('.')}" for r in rejections)
    none_answers = all(r.filter == "status" for r in rejections)
    return NoRoom(
        f"No provider can take {names}: {why}." if rejections else f"There is no provider for {names}.",
        where=names,
        component=group[0].component,
        hint=_GET_ONE if none_answers else _ASK_LESS,
    )


def _wanted(group: Sequence[Demand]) -> Resources:
    return sum((d.resources * d.replicas for d in group), Resources())
