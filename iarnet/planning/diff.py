"""Desired against actual: the operations between them, as a DAG."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from iarnet.models.edge import Condition, Edge
from iarnet.models.image import BuildRequest
from iarnet.models.instance import Instance, InstanceSpec
from iarnet.models.plan import Kept, Operation
from iarnet.planning.graph import closure, order

COMMIT = "commit"


@dataclass(frozen=True)
class Wanted:
    """One instance that should run, and where. `build` makes its image, when it is ours to make."""

    spec: InstanceSpec
    provider_id: str
    build: BuildRequest | None = None


@dataclass(frozen=True)
class World:
    """What a plan is made from. `scope`: the components to touch; `unreachable`: providers not to be called;
    `renewed`: the components to replace although they are the same, as what they need has another address;
    `old_edges`: those of what is to go; `proven`: the epoch of the last change that ended well. What a later one has
    made may never have become ready.

    `undoing`: what is there is a release that did not come about, and each component goes back as soon as it can.
    `release` maps a provider to the volumes to remove there, with the network, once nothing runs.
    """

    wanted: Sequence[Wanted]
    actual: Sequence[Instance]
    edges: Sequence[Edge] = ()
    old_edges: Sequence[Edge] = ()
    scope: Collection[str] | None = None
    unreachable: Collection[str] = ()
    renewed: Collection[str] = ()
    undoing: bool = False
    proven: int = 0
    release: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @cached_property
    def rank(self) -> Mapping[str, int]:
        """Of each component that is wanted: what it needs comes before it."""
        names = order((w.spec.component for w in self.wanted), self.edges)
        return {name: rank for rank, name in enumerate(names)}


def diff(world: World) -> tuple[tuple[Operation, ...], tuple[Kept, ...]]:
    """Operations in an order that respects `after`, and the instances that stay.

    A component starts once everything it needs meets its edge's condition. Old instances go when all that is new is
    there, and what needed them is gone: until then nothing has to be made again for the old revision. Where two can't
    coexist (a volume with one writer, a host port that both publish, one name) the old one goes first, as late as
    possible.
    """
    world = replace(world, wanted=[_as_begun(wanted, world) for wanted in world.wanted])
    kept = _kept(world)
    names = {k.instance for k in kept}
    new = [w for w in world.wanted if w.spec.name not in names and _in_scope(world, w.spec.component)]
    new = [w for w in new if not _is_kept(w, kept, world)]
    old = [
        instance
        for instance in world.actual
        if instance.name not in names
        and not _is_adopted(instance, new, world)
        and _in_scope(world, instance.component)
        and instance.provider_id not in world.unreachable
    ]
    operations = [*_builds(new), *(op for wanted in new for op in _deploys(wanted, new, old, world))]
    if not world.undoing:
        operations += _commit(operations, new, old)
    operations += [_remove(instance, new, old, world) for instance in old]
    operations += [
        Operation(
            id=f"release.{provider}",
            kind="release",
            provider_id=provider,
            volumes=volumes,
            after=tuple(op.id for op in operations if op.kind == "remove" and op.provider_id == provider),
            reason="nothing of the app is left here",
        )
        for provider, volumes in world.release.items()
        if provider not in world.unreachable
    ]
    return tuple(operations), tuple(kept)


def _kept(world: World) -> list[Kept]:
    stay = {(i.provider_id, i.name) for i in (_stayer(wanted, world) for wanted in world.wanted) if i}
    kept = []
    for instance in world.actual:
        if not _in_scope(world, instance.component):
            kept.append(_keep(instance, "not part of this change"))
        elif (instance.provider_id, instance.name) in stay:
            kept.append(_keep(instance, "unchanged"))
    return kept


def _as_begun(wanted: Wanted, world: World) -> Wanted:
    """Under the name of the one that a change has begun and not seen through: it is adopted, and waited for."""
    there = _alike(wanted, world)
    if there is None or _stays_as_it_is(there, world):
        return wanted
    return replace(wanted, spec=wanted.spec.model_copy(update={"name": there.name, "revision": there.revision}))


def _stayer(wanted: Wanted, world: World) -> Instance | None:
    """The one that is wanted already, if it is known to have become ready."""
    there = _alike(wanted, world)
    return there if there and _stays_as_it_is(there, world) else None


def _stays_as_it_is(instance: Instance, world: World) -> bool:
    return instance.state != "running" or instance.epoch <= world.proven


def _alike(wanted: Wanted, world: World) -> Instance | None:
    """What is as wanted already; of two, as while what is the same is replaced, the one of that name."""
    found = [instance for instance in world.actual if _matches(wanted, instance, world.renewed)]
    return min(found, key=lambda instance: instance.name != wanted.spec.name, default=None)


def _matches(wanted: Wanted, instance: Instance, renewed: Collection[str]) -> bool:
    """The instance is what is wanted already, whatever revision made it."""
    alive = instance.state == "running" and instance.component not in renewed
    return (
        (alive or wanted.spec.is_done_by(instance))
        and instance.component == wanted.spec.component
        and instance.replica == wanted.spec.replica
        and instance.provider_id == wanted.provider_id
        and instance.spec_hash == wanted.spec.spec_hash
    )


def _is_kept(wanted: Wanted, kept: Sequence[Kept], world: World) -> bool:
    names = {k.instance for k in kept}
    return any(_matches(wanted, instance, world.renewed) for instance in world.actual if instance.name in names)


def _is_adopted(instance: Instance, new: Sequence[Wanted], world: World) -> bool:
    """It has the name of what comes and can become that as it is, or is of that name elsewhere."""
    for wanted in (w for w in new if w.spec.name == instance.name):
        same = wanted.spec.spec_hash == instance.spec_hash and instance.component not in world.renewed
        if same or wanted.provider_id != instance.provider_id:
            return True
    return False


def _builds(new: Sequence[Wanted]) -> list[Operation]:
    """One per image. Generated recipes over the same folder begin alike, and an engine reuses the layers of a build
    only once it has ended: so these follow each other."""
    operations: list[Operation] = []
    last: dict[str, str] = {}
    for image, build in _makers(new).items():
        before = last.get(build.build.context) if build.build.recipe else None
        operations.append(
            Operation(
                id=f"build.{build.component}",
                kind="build",
                component=build.component,
                build=build,
                after=(before,) if before else (),
                reason=f"image {image}",
            )
        )
        if build.build.recipe:
            last[build.build.context] = operations[-1].id
    return operations


def _makers(new: Sequence[Wanted]) -> dict[str, BuildRequest]:
    """Image -> who makes it; components that share an image share its build."""
    makers: dict[str, BuildRequest] = {}
    for wanted in new:
        if wanted.build:
            makers.setdefault(wanted.build.image, wanted.build)
    return makers


def _deploys(wanted: Wanted, new: Sequence[Wanted], old: Sequence[Instance], world: World) -> list[Operation]:
    spec, edges = wanted.spec, world.edges
    first = [i for i in old if _gives_way(i, wanted)]
    goal: Condition = "completed" if spec.kind == "job" else "healthy"
    early = any(e.to == spec.component and e.condition == "started" for e in edges)
    deploy = Operation(
        id=_deploy_id(spec),
        kind="deploy",
        component=spec.component,
        provider_id=wanted.provider_id,
        instance=spec.name,
        spec=spec,
        until="started" if early else goal,
        after=(*_prerequisites(wanted, new, edges), *(_remove_id(i) for i in first)),
        reason=_reason(wanted, old, world),
    )
    if not early:
        return [deploy]
    ready = deploy.model_copy(
        update={"id": _ready_id(spec), "kind": "ready", "until": goal, "after": (deploy.id,), "reason": ""}
    )
    return [deploy, ready]


def _prerequisites(wanted: Wanted, new: Sequence[Wanted], edges: Sequence[Edge]) -> tuple[str, ...]:
    """The image, and what the component needs of what is deployed in the same plan."""
    build = (f"build.{_makers(new)[wanted.build.image].component}",) if wanted.build else ()
    needs = {e.to: e.condition for e in edges if e.from_ == wanted.spec.component}
    return build + tuple(
        _milestone(other.spec, needs[other.spec.component], edges) for other in new if other.spec.component in needs
    )


def _milestone(spec: InstanceSpec, condition: Condition, edges: Sequence[Edge]) -> str:
    early = any(e.to == spec.component and e.condition == "started" for e in edges)
    return _ready_id(spec) if early and condition != "started" else _deploy_id(spec)


def _gives_way(instance: Instance, wanted: Wanted) -> bool:
    """Whether it must have gone before the other comes. A host port may be taken over from another component."""
    spec = wanted.spec
    if instance.provider_id != wanted.provider_id:
        return False
    if instance.component != spec.component:
        return _publish_one(instance, spec)
    if instance.name == spec.name:
        return True
    if spec.kind == "job" and instance.state == "exited":
        return False  # a job that is done runs no more
    return _publish_one(instance, spec) or any(not volume.read_only for volume in spec.volumes)


def _publish_one(instance: Instance, spec: InstanceSpec) -> bool:
    for port in instance.ports:  # of very many pairs most publish nothing
        if port.host_port and any((port.host_port, port.protocol) == (p.host_port, p.protocol) for p in spec.ports):
            return True
    return False


def _commit(operations: Sequence[Operation], new: Sequence[Wanted], old: Sequence[Instance]) -> list[Operation]:
    """The end of what comes, where something goes because of it."""
    if not new or not any(_stays(instance, new) for instance in old):
        return []
    coming = tuple(op.id for op in operations if op.kind in ("deploy", "ready"))
    return [Operation(id=COMMIT, kind="commit", after=coming, reason="all that is new is there")]


def _remove(instance: Instance, new: Sequence[Wanted], old: Sequence[Instance], world: World) -> Operation:
    if not _stays(instance, new):
        after = _before_it_gives_way(instance, new, old, world)
        reason = _why_it_gives_way(instance, new)
    else:
        # Old instances go in the order of the old edges and successors come in the order of the new ones. Mixing the
        # two would make a circle where an edge has changed its direction.
        gone = [i for i in _users(instance, old, world) if _stays(i, new)]
        after = {_remove_id(i) for i in gone} | _come(instance, new, world)
        reason = "replaced" if _successors(instance, new) else "no longer wanted"
    return Operation(
        id=_remove_id(instance),
        kind="remove",
        component=instance.component,
        provider_id=instance.provider_id,
        instance=instance.name,
        hold=not _stays(instance, new),
        after=tuple(sorted(after)),
        reason=reason,
    )


def _why_it_gives_way(instance: Instance, new: Sequence[Wanted]) -> str:
    to = {w.spec.component for w in new if _gives_way(instance, w)}
    whom = "its successor" if instance.component in to else ", ".join(sorted(to))
    return f"gives way to {whom}: the two can't run side by side"


def _come(instance: Instance, new: Sequence[Wanted], world: World) -> set[str]:
    """What has to be there before an instance goes that need not give way."""
    if not world.undoing:
        return {COMMIT} if new else set()
    if not _successors(instance, new):
        return set()
    both = {instance.component, *(e.from_ for e in world.edges if e.to == instance.component)}
    return {_milestone(w.spec, "healthy", world.edges) for w in new if w.spec.component in both}


def _before_it_gives_way(
    instance: Instance, new: Sequence[Wanted], old: Sequence[Instance], world: World
) -> set[str]:
    """What the first that it makes room for needs: others may need that one. And when a release is undone, what used
    it and waits for nothing that comes."""
    blocked = [w for w in new if _gives_way(instance, w)]
    first = min(world.rank[w.spec.component] for w in blocked)
    needs = {
        need for w in blocked if world.rank[w.spec.component] == first for need in _prerequisites(w, new, world.edges)
    }
    if not world.undoing:
        return needs
    waiting = _needed(new, world)
    users = (i for i in _users(instance, old, world) if i.component not in waiting and _stays(i, new))
    return needs | {_remove_id(i) for i in users}


def _needed(new: Sequence[Wanted], world: World) -> set[str]:
    """The components that come, and what the old ones of that name needed."""
    coming = {w.spec.component for w in new}
    names = coming | {name for e in world.old_edges for name in (e.from_, e.to)}
    return closure(sorted(coming), names, world.old_edges)


def _users(instance: Instance, old: Sequence[Instance], world: World) -> list[Instance]:
    """Who goes, too, and needed it."""
    needed_by = {e.from_ for e in world.old_edges if e.to == instance.component}
    return [i for i in old if i.component in needed_by]


def _successors(instance: Instance, new: Sequence[Wanted]) -> list[Wanted]:
    return [w for w in new if w.spec.component == instance.component]


def _stays(instance: Instance, new: Sequence[Wanted]) -> bool:
    """Until its successors are there."""
    return not any(_gives_way(instance, w) for w in new)


def _reason(wanted: Wanted, old: Sequence[Instance], world: World) -> str:
    spec = wanted.spec
    if _alike(wanted, world):
        return "begun, and not known to be ready"
    before = [i for i in old if i.component == spec.component and i.replica == spec.replica]
    if not before:
        return "new"
    if before[0].state != "running":
        return f"was {before[0].state}"
    if before[0].spec_hash != spec.spec_hash:
        return "changed"
    return "moves here" if before[0].provider_id != wanted.provider_id else "what it needs has another address"


def _in_scope(world: World, component: str) -> bool:
    return world.scope is None or component in world.scope


def _keep(instance: Instance, reason: str) -> Kept:
    return Kept(instance=instance.name, component=instance.component, provider_id=instance.provider_id, reason=reason)


def _deploy_id(spec: InstanceSpec) -> str:
    return f"deploy.{spec.component}.{spec.replica}"


def _ready_id(spec: InstanceSpec) -> str:
    return f"ready.{spec.component}.{spec.replica}"


def _remove_id(instance: Instance) -> str:
    return f"remove.{instance.name}"
