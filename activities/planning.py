"""From a request to a plan: what should run, where, and what has to happen for it."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial

from temporalio import activity

from activities.heartbeat import heartbeating
from activities.options import builds_queue, node_queue
from activities.ports import HostPorts
from activities.revising import Revising, Target
from activities.scene import Scene, look
from iarnet import faults
from iarnet.errors import AlreadyExists, NotFound, PayloadTooLarge
from iarnet.models.app import Revision
from iarnet.models.change import SelectRequest
from iarnet.models.component import Component
from iarnet.models.edge import Edge
from iarnet.models.instance import Instance
from iarnet.models.lease import Lease
from iarnet.models.placement import Demand, Placement
from iarnet.models.plan import Lasting, Operation, Plan
from iarnet.models.provider import ProviderState
from iarnet.models.work import Prepare
from iarnet.placement.place import place
from iarnet.planning.desired import instance_specs
from iarnet.planning.diff import Wanted, World, diff
from iarnet.planning.graph import closure, groups
from iarnet.planning.lasting import lasting, stranded
from iarnet.planning.room import with_room
from iarnet.planning.serving import Serving, handed_over, with_serving
from iarnet.providers.base import Providers
from iarnet.store.base import Clock, Store

_LARGEST_PLAN = 1_500_000
# A reservation outlives the longest build of a change, which gives back what it did not use; a selection is short.
_CHANGE_S = 2 * 3600.0
_SELECTED_S = 60.0


class Planning:
    """`owner` marks what is ours on every provider; `node` is the one that this is."""

    def __init__(
        self,
        store: Store,
        providers: Providers,
        ports: HostPorts,
        revising: Revising,
        owner: str,
        node: str,
        clock: Clock,
    ) -> None:
        self._clock = clock
        self._store = store
        self._providers = providers
        self._ports = ports
        self._revising = revising
        self._owner = owner
        self._node = node

    @activity.defn
    async def prepare_change(self, prepare: Prepare) -> Plan | None:
        """Plan, place and reserve. A dry run writes nothing. Raises whatever makes the change impossible.

        None when this is not the node that the change is of, on which its sources and providers are.
        """
        if prepare.deployment.node != self._node:
            return None
        async with heartbeating():
            scene = await look(self._store, self._providers, self._owner, prepare.request.app)
            plan = await (self._towards(prepare, scene) if prepare.kind == "deploy" else self._away(prepare, scene))
            plan = _routed(plan, scene, prepare.deployment.node)
            _check_size(plan)
            if not prepare.dry_run and not prepare.compensation:
                await self._store.facts.save_plan(prepare.deployment.id, plan)
            return plan

    @activity.defn
    async def select_providers(self, request: SelectRequest) -> Placement:
        """Where components of the last revision would run; with `reserve` the room is held for 60 s."""
        scene = await look(self._store, self._providers, self._owner, request.app)
        latest = next(iter(await self._store.facts.revisions(request.app, limit=1)), None)
        if latest is None:
            raise NotFound(
                f"{request.app} has no revision yet.", where=request.app, hint=f"iarnet deploy {request.app}"
            )
        scope = closure(request.components, [c.name for c in latest.components], latest.edges)
        placement = self._place((), latest, scene, scope or None)
        if request.reserve:
            chosen = {a.component: a.provider_id for a in placement.assignments}
            asked = [(c, chosen[c.name]) for c in latest.components if c.name in chosen]
            await self._reserve([_selected(request, c, provider) for c, provider in asked], scene, _SELECTED_S)
        return placement

    async def _away(self, prepare: Prepare, scene: Scene) -> Plan:
        """Nothing of the app is wanted any more."""
        active = [s.info.id for s in self._within_reach(scene) if s.status == "active"]
        volumes = await self._volumes(prepare)
        release = dict.fromkeys(active, volumes)
        operations, kept = diff(
            World(
                wanted=(),
                actual=scene.actual,
                old_edges=await self._old_edges(prepare, scene),
                unreachable=scene.unreachable,
                release=release,
            )
        )
        return Plan(
            app=prepare.request.app,
            revision=0,
            previous_revision=scene.previous.number if scene.previous else 0,
            cause=prepare.request.cause,
            operations=operations,
            kept=kept,
            notes=_left_behind(scene),
            lasting=_lasting(prepare, operations, scene),
        )

    async def _old_edges(self, prepare: Prepare, scene: Scene) -> Sequence[Edge]:
        """Among what is there: of a change that is undone, those of what it has made."""
        there = scene.previous
        if prepare.undoes:
            there = await self._store.facts.revision(prepare.request.app, prepare.undoes)
        return there.edges if there else ()

    async def _volumes(self, prepare: Prepare) -> tuple[str, ...]:
        """Those of every revision: also a component that is gone by now, or never came up, may have left one."""
        if prepare.kind != "delete" or prepare.request.keep_data:
            return ()
        revisions = await self._store.facts.revisions(prepare.request.app)
        held = ((v.of or c.name, v.name) for r in revisions for c in r.components for v in c.volumes)
        return tuple(sorted({f"{component}/{volume}" for component, volume in held}))

    async def _towards(self, prepare: Prepare, scene: Scene) -> Plan:
        target = await self._revising.target(prepare)
        revision = target.revision
        request = prepare.request
        names = [c.name for c in revision.components]
        scope = closure(request.components, names, revision.edges) if request.components else None
        placement = self._place(request.avoid_providers, revision, scene, scope)
        wanted, serving, notes = await self._wanted(prepare, target, placement, scene, scope)
        _refuse_clashes(wanted, await self._store.instances.list(names={each.spec.name for each in wanted}))
        operations, kept = diff(
            World(
                wanted=wanted,
                actual=scene.actual,
                edges=revision.edges,
                old_edges=await self._old_edges(prepare, scene),
                undoing=prepare.compensation,
                proven=scene.proven,
                scope=scope,
                unreachable=scene.unreachable,
                renewed=await self._renewed(revision, serving, scene),
            )
        )
        operations = with_serving(operations, scene.complete(serving, kept, scope), scene.actual)
        operations = with_room(operations, kept)
        if not prepare.dry_run:
            await self._reserve(_leases(operations, prepare.deployment.epoch), scene, _CHANGE_S)
        return Plan(
            app=request.app,
            revision=revision.number,
            previous_revision=scene.previous.number if scene.previous else 0,
            cause=request.cause,
            operations=operations,
            kept=kept,
            placement=placement,
            notes=(
                *notes,
                *_observed(request.observed),
                *_powerful(revision),
                *_stop_first(operations),
                *handed_over(operations),
                *_left_behind(scene),
            ),
            lasting=_lasting(prepare, operations, scene),
        )

    def _within_reach(self, scene: Scene) -> list[ProviderState]:
        """Not those that only other nodes can speak to. One that nobody can says itself why it is no place."""
        here = {provider.info.id for provider in self._providers.all()}
        return [s for s in scene.states.values() if s.info.id in here or s.status != "active"]

    def _place(self, avoid: Sequence[str], revision: Revision, scene: Scene, scope: set[str] | None) -> Placement:
        """Nothing moves without a cause: what runs on a provider that answers stays there."""
        home = {i.component: i.provider_id for i in scene.actual if i.provider_id not in {*avoid, *scene.unreachable}}
        asked = [c for c in revision.components if scope is None or c.name in scope]
        demands = {c.name: _demand(c, home.get(c.name)) for c in asked}
        connected = groups(demands, [e for e in revision.edges if e.from_ in demands and e.to in demands])
        states = [s for s in self._within_reach(scene) if s.info.id not in avoid]
        return place([[demands[n] for n in sorted(group)] for group in connected], _credited(states, scene, demands))

    async def _wanted(
        self, prepare: Prepare, target: Target, placement: Placement, scene: Scene, scope: set[str] | None
    ) -> tuple[list[Wanted], dict[str, Serving], list[str]]:
        wanted: list[Wanted] = []
        notes: list[str] = []
        serving: dict[str, Serving] = {}
        for provider_id in sorted({a.provider_id for a in placement.assignments}):
            here = [c for c in target.revision.components if placement.provider_of(c.name) == provider_id]
            host_ports, more = await self._ports.choose(
                prepare.request.app,
                here,
                self._providers.get(provider_id),
                scene.host_ports(provider_id),
                prepare.dry_run,
                scene.untouched(scope),
            )
            specs = partial(
                instance_specs,
                target.revision,
                host_ports=host_ports,
                owner=self._owner,
                epoch=prepare.deployment.epoch,
            )
            offered = scene.offered(provider_id, here, specs, undoing=prepare.compensation)
            serving[provider_id], direct = scene.serving(provider_id, offered, host_ports, scope)
            notes += [*more, *direct]
            through = {port.component: port.slot for port in serving[provider_id].after}
            for component in here:
                build = target.builds.get(component.name)
                wanted += [Wanted(spec, provider_id, build) for spec in specs(component, served=through)]
        return wanted, serving, notes

    async def _renewed(self, revision: Revision, serving: Mapping[str, Serving], scene: Scene) -> set[str]:
        """The components that need what has another address now, and know the old one."""
        moved = {(e.from_, e.to) for each in serving.values() for e in revision.edges if e.to in each.moved}
        users = {user for user, _ in moved}
        specs = [await self._store.instances.spec(i.name) for i in scene.actual if i.component in users]
        return {s.component for s in specs if s and any((s.component, name) in moved for name in s.hosts)}

    async def _reserve(self, leases: Sequence[Lease], scene: Scene, for_s: float) -> None:
        until = self._clock() + timedelta(seconds=for_s)
        limits = {
            provider_id: state.capacity.total.minus(state.capacity.used.minus(state.ours))
            for provider_id, state in scene.states.items()
        }
        if leases:
            await self._store.ledger.reserve([x.model_copy(update={"expires_at": until}) for x in leases], limits)
            faults.reached("room.reserved")


def _leases(operations: Sequence[Operation], epoch: int) -> list[Lease]:
    return [
        Lease(
            id=op.spec.name,
            provider_id=op.provider_id,
            app=op.spec.app,
            component=op.component,
            instance=op.spec.name,
            resources=op.spec.resources,
            state="reserved",
            epoch=epoch,
        )
        for op in operations
        if op.kind == "deploy" and op.spec
    ]


def _selected(request: SelectRequest, component: Component, provider_id: str) -> Lease:
    name = f"select-{request.app}-{component.name}-{request.n}"
    return Lease(
        id=name,
        provider_id=provider_id,
        app=request.app,
        component=component.name,
        instance=name,
        resources=component.resources * component.replicas,
        state="reserved",
    )


def _demand(component: Component, home: str | None) -> Demand:
    return Demand(
        component=component.name,
        resources=component.resources,
        replicas=component.replicas,
        needs_volumes=bool(component.volumes),
        needs_publish=any(p.publish != "no" for p in component.ports),
        pinned=home,
        pinned_because="it runs there already" if home else "",
    )


def _credited(states: Sequence[ProviderState], scene: Scene, demands: dict[str, Demand]) -> list[ProviderState]:
    """What already runs there of the same components counts once, not twice."""
    credited = []
    for state in states:
        running = [i for i in scene.actual if i.provider_id == state.info.id and i.component in demands]
        credit = sum((demands[i.component].resources for i in running), start=type(state.reserved)())
        credited.append(state.model_copy(update={"reserved": state.reserved.minus(credit)}))
    return credited


def _routed(plan: Plan, scene: Scene, node: str) -> Plan:
    """Each operation gets the queue of the node that can carry it out."""

    def queue(operation: Operation) -> str:
        if operation.kind == "build":
            return builds_queue(node)
        if operation.kind == "commit":
            return ""
        return node_queue(scene.states[operation.provider_id].info.home or node)

    routed = tuple(op.model_copy(update={"queue": queue(op)}) for op in plan.operations)
    return plan.model_copy(update={"operations": routed})


def _refuse_clashes(wanted: Sequence[Wanted], called_so: Sequence[Instance]) -> None:
    """`web-api` of `shop` and `api` of `shop-web` would be called the same."""
    holders = {(i.name, i.provider_id): i for i in called_so}
    for each in wanted:
        holder = holders.get((each.spec.name, each.provider_id))
        if holder and holder.app != each.spec.app:
            raise AlreadyExists(
                f"{each.spec.component} of {each.spec.app} would be called {each.spec.name}, as {holder.component} of"
                f" {holder.app} is already.",
                where=each.spec.component,
                component=each.spec.component,
                hint="Rename the component, or import the application under another name.",
            )


def _lasting(prepare: Prepare, operations: Sequence[Operation], scene: Scene) -> tuple[Lasting, ...]:
    """What undoing would leave; or, when this is what undoes, what it leaves."""
    if prepare.compensation:
        return stranded(scene.actual, scene.unreachable)
    return lasting(operations, scene.actual, {c.name for c in scene.previous.components} if scene.previous else ())


def _observed(settings: Mapping[str, str]) -> list[str]:
    return [f"{key} is {value}, as its start has shown" for key, value in sorted(settings.items())]


def _powerful(revision: Revision) -> list[str]:
    return [
        f"{c.name} runs with {', '.join(c.powers)}, as {c.name}.capabilities says"
        for c in revision.components
        if c.powers
    ]


def _stop_first(operations: Sequence[Operation]) -> list[str]:
    removed = {op.id: op for op in operations if op.kind == "remove"}
    return [
        f"{op.component}: {_old(op, removed)} stops before the new one starts, because the two can't run side by side"
        for op in operations
        if op.kind == "deploy" and not removed.keys().isdisjoint(op.after)
    ]


def _old(operation: Operation, removed: Mapping[str, Operation]) -> str:
    others = {removed[id].component for id in operation.after if id in removed} - {operation.component}
    return f"the old instance of {', '.join(sorted(others))}" if others else "the old instance"


def _left_behind(scene: Scene) -> tuple[str, ...]:
    return tuple(
        f"{i.name} stays on {i.provider_id}, which can't be reached; it is removed when that comes back"
        for i in scene.actual
        if i.provider_id in scene.unreachable
    )


def _check_size(plan: Plan) -> None:
    size = len(plan.model_dump_json())
    if size > _LARGEST_PLAN:
        raise PayloadTooLarge(
            f"The plan for {plan.app} is {size:,} bytes, more than a workflow can carry ({_LARGEST_PLAN:,}).",
            where=plan.app,
            hint=f"Deploy it in parts: iarnet deploy {plan.app} --component …",
        )
