"""Plans, checked by carrying them out in any order they allow."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter

from hypothesis import given
from hypothesis import strategies as st

from iarnet.models.component import Build, Volume
from iarnet.models.edge import Edge
from iarnet.models.image import BuildRequest
from iarnet.models.instance import Instance, InstanceSpec, PortBinding
from iarnet.models.plan import Operation
from iarnet.planning.diff import Wanted, World, diff


def spec(component: str, revision: int = 1, image: str = "a", replica: int = 0, **more: object) -> InstanceSpec:
    kind = more.pop("kind", "web")
    return InstanceSpec(
        name=f"iarnet-app-{component}-r{revision}-{replica}",
        app="app",
        component=component,
        kind=kind,
        owner="me",
        revision=revision,
        replica=replica,
        epoch=revision,
        image=image,
        **more,
    )


def running(
    s: InstanceSpec, provider: str = "p", state: str = "running", exit_code: int | None = None, epoch: int = 0
) -> Instance:
    return Instance(
        name=s.name,
        app=s.app,
        component=s.component,
        replica=s.replica,
        revision=s.revision,
        epoch=epoch,
        provider_id=provider,
        spec_hash=s.spec_hash,
        state=state,
        exit_code=exit_code,
        ports=s.ports,
    )


def ids(operations: tuple[Operation, ...]) -> list[str]:
    return [op.id for op in operations]


def op(operations: tuple[Operation, ...], id: str) -> Operation:
    return next(o for o in operations if o.id == id)


def test_who_needs_what_has_another_address_now_is_replaced_although_it_is_the_same() -> None:
    old, new = spec("web", 1), spec("web", 2)
    done = running(spec("migrate", kind="job"), state="exited", exit_code=0)
    wanted = [Wanted(new, "p"), Wanted(spec("migrate", 2, kind="job"), "p")]
    operations, kept = diff(World(wanted=wanted, actual=[running(old), done], renewed={"web", "migrate"}))
    assert ids(operations) == ["deploy.web.0", "commit", f"remove.{old.name}"]
    assert op(operations, "deploy.web.0").reason == "what it needs has another address"
    assert [k.instance for k in kept] == [done.name], "what is done is not done again"


def test_unchanged_instances_stay_whatever_revision_made_them() -> None:
    old, new = spec("web", 1), spec("web", 2)
    operations, kept = diff(World(wanted=[Wanted(new, "p")], actual=[running(old)]))
    assert operations == ()
    assert [k.instance for k in kept] == [old.name]


def test_what_was_begun_and_not_seen_through_is_waited_for_before_anything_goes() -> None:
    old, begun = spec("web", 1), spec("web", 2, image="b")
    operations, kept = diff(World(wanted=[Wanted(begun, "p")], actual=[running(old), running(begun, epoch=5)]))
    assert ids(operations) == ["deploy.web.0", "commit", f"remove.{old.name}"]
    assert op(operations, f"remove.{old.name}").after == ("commit",)
    assert op(operations, "deploy.web.0").reason == "begun, and not known to be ready"
    assert kept == ()
    world = World(wanted=[Wanted(begun, "p")], actual=[running(old), running(begun, epoch=5)], proven=5)
    assert [k.instance for k in diff(world)[1]] == [begun.name]


def test_what_was_begun_keeps_its_name_in_a_later_revision() -> None:
    begun = spec("web", 2)
    operations, _ = diff(World(wanted=[Wanted(spec("web", 3), "p")], actual=[running(begun, epoch=5)]))
    assert [(o.id, o.instance) for o in operations] == [("deploy.web.0", begun.name)]
    assert operations[0].spec
    assert (operations[0].spec.name, operations[0].spec.revision) == (begun.name, 2)


def test_a_job_that_still_runs_is_waited_for_by_who_needs_it() -> None:
    job, web = spec("migrate", kind="job"), spec("web")
    edges = [Edge(from_="web", to="migrate", condition="completed")]
    world = World(wanted=[Wanted(job, "p"), Wanted(web, "p")], actual=[running(job, epoch=5)], edges=edges)
    operations, _ = diff(world)
    assert op(operations, "deploy.migrate.0").until == "completed"
    assert op(operations, "deploy.web.0").after == ("deploy.migrate.0",)


def test_what_ran_goes_when_all_that_is_new_is_there() -> None:
    wanted = [Wanted(spec("web", 2, "b"), "p"), Wanted(spec("other", 2, "b"), "p")]
    operations, _ = diff(World(wanted=wanted, actual=[running(spec("web")), running(spec("gone"))]))
    assert op(operations, "commit").after == ("deploy.web.0", "deploy.other.0")
    assert op(operations, "remove.iarnet-app-web-r1-0").after == ("commit",)
    assert op(operations, "remove.iarnet-app-gone-r1-0").after == ("commit",)
    assert op(operations, "deploy.web.0").after == ()


def test_a_release_goes_back_in_reverse_order() -> None:
    """`web` failed, `api` had come, and so had `db`, for which the old one made room."""
    volumes = (Volume(name="data", path="/data"),)
    edges = [Edge(from_="web", to="api"), Edge(from_="api", to="db")]
    old = [spec("db", volumes=volumes), spec("api"), spec("web")]
    new = [spec("db", 2, "b", volumes=volumes), spec("api", 2, "b"), spec("web", 2, "b")]
    operations, kept = diff(
        World(
            wanted=[Wanted(s, "p") for s in old],
            actual=[running(s) for s in (*old[1:], *new)],
            edges=edges,
            old_edges=edges,
            undoing=True,
        )
    )
    assert [k.component for k in kept] == ["api", "web"]
    order = list(TopologicalSorter({o.id: o.after for o in operations}).static_order())
    assert order == [*(f"remove.iarnet-app-{name}-r2-0" for name in ("web", "api", "db")), "deploy.db.0"]


def test_a_job_that_is_done_keeps_no_successor_waiting_and_is_there_for_the_way_back() -> None:
    volumes = (Volume(name="data", path="/data"),)
    done = running(spec("migrate", kind="job", volumes=volumes), state="exited", exit_code=0)
    wanted = [Wanted(spec("migrate", 2, "b", kind="job", volumes=volumes), "p")]
    operations, _ = diff(World(wanted=wanted, actual=[done]))
    assert ids(operations) == ["deploy.migrate.0", "commit", f"remove.{done.name}"]


def test_what_holds_the_same_port_goes_first_but_not_before_the_image_is_there() -> None:
    ports = (PortBinding(port=80, host_port=8080),)
    build = BuildRequest(app="app", component="web", tree="t", build=Build(), image="b")
    operations, _ = diff(
        World(
            wanted=[Wanted(spec("web", 2, "b", ports=ports), "p", build)],
            actual=[running(spec("web", ports=ports))],
        )
    )
    assert op(operations, "remove.iarnet-app-web-r1-0").after == ("build.web",)
    assert "remove.iarnet-app-web-r1-0" in op(operations, "deploy.web.0").after


def test_a_volume_has_one_writer() -> None:
    volumes = (Volume(name="data", path="/data"),)
    operations, _ = diff(
        World(
            wanted=[Wanted(spec("db", 2, "b", volumes=volumes), "p")],
            actual=[running(spec("db", volumes=volumes))],
        )
    )
    assert op(operations, "deploy.db.0").after == ("remove.iarnet-app-db-r1-0",)


def test_started_is_earlier_than_healthy() -> None:
    edges = [
        Edge(from_="web", to="db", condition="started"),
        Edge(from_="api", to="db", condition="healthy"),
    ]
    wanted = [Wanted(spec(name), "p") for name in ("db", "web", "api")]
    operations, _ = diff(World(wanted=wanted, actual=[], edges=edges))
    assert op(operations, "deploy.db.0").until == "started"
    assert op(operations, "deploy.web.0").after == ("deploy.db.0",)
    assert op(operations, "deploy.api.0").after == ("ready.db.0",)


def test_a_job_that_is_done_is_not_done_again() -> None:
    job = spec("migrate", kind="job")
    operations, kept = diff(World(wanted=[Wanted(job, "p")], actual=[running(job, state="exited", exit_code=0)]))
    assert operations == ()
    assert kept
    operations, _ = diff(World(wanted=[Wanted(job, "p")], actual=[running(job, state="exited", exit_code=1)]))
    assert op(operations, "deploy.migrate.0").until == "completed"


def test_stopping_takes_dependents_first() -> None:
    edges = [Edge(from_="web", to="api"), Edge(from_="api", to="db")]
    actual = [running(spec(name)) for name in ("db", "api", "web")]
    operations, _ = diff(World(wanted=[], actual=actual, old_edges=edges, release={"p": ()}))
    order = list(TopologicalSorter({o.id: o.after for o in operations}).static_order())
    assert order == [
        "remove.iarnet-app-web-r1-0",
        "remove.iarnet-app-api-r1-0",
        "remove.iarnet-app-db-r1-0",
        "release.p",
    ]


def test_an_unreachable_provider_is_not_called() -> None:
    operations, _ = diff(
        World(wanted=[Wanted(spec("web", 2), "q")], actual=[running(spec("web"), "p")], unreachable={"p"})
    )
    assert ids(operations) == ["deploy.web.0"]


def test_a_part_of_an_app_leaves_the_rest_alone() -> None:
    wanted = [Wanted(spec("web", 2, "b"), "p")]
    actual = [running(spec("web")), running(spec("api"))]
    operations, kept = diff(World(wanted=wanted, actual=actual, scope={"web"}))
    assert {o.component for o in operations} == {"web", ""}, "and the commit"
    assert [k.component for k in kept] == ["api"]


NAMES = ["a", "b", "c", "d", "e"]


@dataclass(frozen=True)
class Release:
    """From `before` to what `world` wants."""

    before: list[Wanted]
    world: World


@st.composite
def releases(draw: st.DrawFn) -> Release:
    def some_edges() -> list[Edge]:
        order = draw(st.permutations(NAMES))
        pairs = [(x, y) for i, x in enumerate(order) for y in order[:i]]
        chosen = draw(st.lists(st.sampled_from(pairs), max_size=6, unique=True))
        return [Edge(from_=x, to=y, condition=draw(st.sampled_from(["started", "healthy"]))) for x, y in chosen]

    def some_specs(revision: int) -> list[InstanceSpec]:
        specs = []
        for name in draw(st.lists(st.sampled_from(NAMES), unique=True)):
            image = draw(st.sampled_from(["x", "y"]))
            volumes = (Volume(name="data", path="/data"),) if draw(st.booleans()) else ()
            specs += [
                spec(name, revision, image, replica, volumes=volumes)
                for replica in range(1 if volumes else draw(st.integers(1, 3)))
            ]
        return specs

    build = draw(st.booleans())
    wanted = [
        Wanted(
            s,
            draw(st.sampled_from(["p", "q"])),
            BuildRequest(app="app", component=s.component, tree="t", build=Build(), image=s.image) if build else None,
        )
        for s in some_specs(2)
    ]
    before = [Wanted(s, draw(st.sampled_from(["p", "q"]))) for s in some_specs(1)]
    # Some of it no change has seen through.
    actual = [running(w.spec, w.provider_id, epoch=draw(st.sampled_from([0, 1]))) for w in before]
    return Release(before, World(wanted=wanted, actual=actual, edges=some_edges(), old_edges=some_edges()))


class Carried:
    """A plan, carried out in an order that it allows, for so many `steps`."""

    def __init__(self, world: World, rng: random.Random, steps: int = 1000) -> None:
        self.operations, self.kept = diff(world)
        self._by_id = {o.id: o for o in self.operations}
        assert len(self._by_id) == len(self.operations)
        self.there = {(i.provider_id, i.name): i for i in world.actual}
        sorter = TopologicalSorter({o.id: o.after for o in self.operations})
        sorter.prepare()
        ready: list[str] = []
        while sorter.is_active() and steps:
            steps -= 1
            ready += sorter.get_ready()
            rng.shuffle(ready)
            operation = self._by_id[ready.pop()]
            self._carry_out(operation)
            sorter.done(operation.id)

    def _carry_out(self, operation: Operation) -> None:
        if operation.kind == "remove":
            del self.there[(operation.provider_id, operation.instance)]
        if operation.kind == "deploy":
            assert operation.spec
            if operation.spec.volumes:
                at = operation.provider_id, operation.instance
                here = [i for place, i in self.there.items() if place[0] == at[0] and place != at]
                assert operation.component not in {i.component for i in here}, "two writers of one volume"
            instance = running(operation.spec, operation.provider_id)
            self.there[(operation.provider_id, operation.instance)] = instance

    @property
    def final(self) -> list[tuple[str, int, str, str]]:
        return sorted((i.component, i.replica, p, i.spec_hash) for (p, _), i in self.there.items())

    def before(self, ids: set[str]) -> set[str]:
        """All that has ended when the last of these begins: it is the same in every order."""
        found: set[str] = set()
        left = [need for id in ids for need in self._by_id[id].after]
        while left:
            if (id := left.pop()) not in found:
                found.add(id)
                left += self._by_id[id].after
        return found


def told(wanted: Sequence[Wanted]) -> list[tuple[str, int, str, str]]:
    return sorted((w.spec.component, w.spec.replica, w.provider_id, w.spec.spec_hash) for w in wanted)


def assert_something_serves(carried: Carried, world: World) -> None:
    """In every order, at every step: of a component that is wanted and ran, something healthy is there.

    The worst moment of all orders is when the removals of its instances have begun and nothing has been done that
    they don't stand behind. Where two can't run side by side there is no choice.
    """
    removals = [o for o in carried.operations if o.kind == "remove"]
    for name in {w.spec.component for w in world.wanted} & {o.component for o in removals}:
        if name in {k.component for k in carried.kept} or any(o.hold for o in removals if o.component == name):
            continue
        ended = carried.before({o.id for o in removals if o.component == name})
        healthy = {o.id for o in carried.operations if o.component == name and o.spec and o.until == "healthy"}
        assert ended & healthy, f"nothing of {name} would be there"


@given(releases(), st.randoms(use_true_random=False))
def test_every_order_that_a_plan_allows_ends_in_what_is_wanted(release: Release, rng: random.Random) -> None:
    carried = Carried(release.world, rng)
    assert carried.final == told(release.world.wanted)
    assert {k.instance for k in carried.kept} <= {i.name for i in release.world.actual}


@given(releases())
def test_the_last_that_is_healthy_is_never_stopped_first(release: Release) -> None:
    assert_something_serves(Carried(release.world, random.Random(0)), release.world)


@given(releases(), st.randoms(use_true_random=False), st.integers(0, 30))
def test_from_wherever_a_release_fails_the_way_back_leads_to_what_ran(
    release: Release, rng: random.Random, steps: int
) -> None:
    forth = Carried(release.world, rng, steps)
    back = World(
        wanted=release.before,
        actual=list(forth.there.values()),
        edges=release.world.old_edges,
        old_edges=release.world.edges,
        undoing=True,
    )
    carried = Carried(back, rng)
    assert carried.final == told(release.before)
    assert_something_serves(carried, back)
