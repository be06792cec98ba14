"""What rules a provider out for a group of components that must be together."""

from collections.abc import Callable, Sequence

from iarnet.models.placement import Demand, Rejection
from iarnet.models.provider import ProviderState
from iarnet.models.resources import GIB, MIB, Resources

Filter = Callable[[Sequence[Demand], ProviderState], str | None]


def free(state: ProviderState) -> Resources:
    """`total − reserved − foreign`, where foreign is what is used by others than our own instances: ours count by
    what they were promised, not by what they happen to use at the moment."""
    foreign = state.capacity.used.minus(state.ours)
    return state.capacity.total.minus(state.reserved).minus(foreign)


def active(demands: Sequence[Demand], state: ProviderState) -> str | None:
    if state.status == "active":
        return None
    return f"it is {state.status}" + (f": {state.health.problem}" if state.health.problem else "")


def pinned(demands: Sequence[Demand], state: ProviderState) -> str | None:
    for demand in demands:
        if demand.pinned and demand.pinned != state.info.id:
            return f"{demand.component} stays on {demand.pinned}: {demand.pinned_because}"
    return None


def labels(demands: Sequence[Demand], state: ProviderState) -> str | None:
    for demand in demands:
        for key, value in demand.labels.items():
            if state.info.labels.get(key) != value:
                return (
                    f"{demand.component} wants the label {key}={value}, it has {state.info.labels.get(key, 'none')}"
                )
    return None


def capabilities(demands: Sequence[Demand], state: ProviderState) -> str | None:
    able = state.info.capabilities
    for demand in demands:
        if demand.needs_volumes and not able.volumes:
            return f"{demand.component} needs a volume, and it has none"
        if demand.needs_publish and not able.publish_ports:
            return f"{demand.component} publishes a port, and it can't"
    return None


def resources(demands: Sequence[Demand], state: ProviderState) -> str | None:
    """Memory, storage and GPU must fit; CPU is scored instead, because its use flickers, unless one instance asks for
    more cores than there are."""
    cores = state.capacity.total.cpu_millis
    for demand in demands:
        if demand.resources.cpu_millis > cores:
            return f"{demand.component} wants {demand.resources.cpu_millis / 1000:g} cores, it has {cores / 1000:g}"
    wanted = sum((d.resources * d.replicas for d in demands), Resources())
    has = free(state)
    short = [
        f"{name} {_amount(name, need)} wanted, {_amount(name, there)} free"
        for name, need, there in (
            ("memory", wanted.memory_bytes, has.memory_bytes),
            ("storage", wanted.storage_bytes, has.storage_bytes),
            ("gpu", wanted.gpu_millis, has.gpu_millis),
        )
        if need > there
    ]
    return "; ".join(short) or None


FILTERS: tuple[tuple[str, Filter], ...] = (
    ("status", active),
    ("pinned", pinned),
    ("labels", labels),
    ("capabilities", capabilities),
    ("resources", resources),
)


def reject(demands: Sequence[Demand], state: ProviderState) -> Rejection | None:
    """The first filter that says no, with its reason."""
    for name, rule in FILTERS:
        if reason := rule(demands, state):
            return Rejection(provider_id=state.info.id, filter=name, reason=reason)
    return None


def _amount(name: str, value: int) -> str:
    if name == "gpu":
        return f"{value / 1000:g}"
    return f"{value / GIB:.1f} GiB" if value >= GIB else f"{value // MIB} MiB"
