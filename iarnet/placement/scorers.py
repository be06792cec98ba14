"""How good a provider is for a group of components: each scorer gives 0 (worst) to 1 (best)."""

from collections.abc import Callable, Mapping, Sequence

from iarnet.models.placement import Demand, Score
from iarnet.models.provider import ProviderState
from iarnet.models.resources import Resources
from iarnet.placement.filters import free

Scorer = Callable[[Sequence[Demand], ProviderState], float]

_ORIGIN = {"internal": 1.0, "external": 0.5, "discovered": 0.0}


def fit(demands: Sequence[Demand], state: ProviderState) -> float:
    """Best fit: the fuller the memory afterwards, the better, so that large holes stay for large components."""
    wanted = sum((d.resources * d.replicas for d in demands), Resources())
    total = state.capacity.total.memory_bytes
    return 0.0 if not total else min(1.0, 1 - (free(state).memory_bytes - wanted.memory_bytes) / total)


def spread(demands: Sequence[Demand], state: ProviderState) -> float:
    """The share of CPU that is idle and not promised to anybody."""
    total = state.capacity.total.cpu_millis
    busy = max(state.capacity.used.cpu_millis, state.reserved.cpu_millis)
    return 0.0 if not total else max(0.0, 1 - busy / total)


def latency(demands: Sequence[Demand], state: ProviderState) -> float:
    """1 at no latency, a half at 50 ms."""
    return 1 / (1 + state.health.latency_s / 0.05)


def origin(demands: Sequence[Demand], state: ProviderState) -> float:
    """The order of the requirement document among equals: internal, external, discovered."""
    return _ORIGIN[state.info.origin]


SCORERS: Mapping[str, Scorer] = {"fit": fit, "spread": spread, "latency": latency, "origin": origin}

POLICIES: Mapping[str, Mapping[str, float]] = {
    "fit": {"fit": 1.0, "spread": 0.5, "latency": 0.2, "origin": 0.1},
    "spread": {"spread": 1.0, "latency": 0.2, "origin": 0.1},
}


def score(demands: Sequence[Demand], state: ProviderState, policy: str) -> Score:
    parts = {name: round(w * SCORERS[name](demands, state), 4) for name, w in POLICIES[policy].items()}
    return Score(provider_id=state.info.id, total=round(sum(parts.values()), 4), parts=parts)
