"""Which node carries out what concerns an application, where several share a store."""

from collections.abc import Sequence
from datetime import datetime

from iarnet.models.instance import Instance
from iarnet.models.provider import ProviderState

ABSENT_S = 60.0
"""A node measures its providers every ten seconds. What was not seen for so long is no longer expected."""


def is_absent(state: ProviderState, now: datetime) -> bool:
    return (now - state.seen_at).total_seconds() > ABSENT_S


def carrier(node: str, states: Sequence[ProviderState], instances: Sequence[Instance], now: datetime) -> str:
    """The home of what runs of the application, as that node alone can speak to it, whether it is there or not.

    Of one that runs nowhere: `node` itself, which asks, when it has a provider, else whoever has the most memory to
    give, else `node` again, which will say that there is nowhere to run.
    """
    homes = {state.info.id: state.info.home for state in states}
    at = sorted({homes[i.provider_id] for i in instances if homes.get(i.provider_id)})
    if at:
        return node if node in at else at[0]
    able = [s for s in states if s.status == "active" and s.info.home and not is_absent(s, now)]
    if not able or any(state.info.home == node for state in able):
        return node
    return max(able, key=lambda state: (state.capacity.available.memory_bytes, state.info.id)).info.home
