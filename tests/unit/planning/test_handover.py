"""Who holds a host port, change by change: plans, carried out in any order that they allow."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from iarnet.models.component import Volume
from iarnet.models.edge import Edge
from iarnet.models.instance import Instance, InstanceSpec, PortBinding
from iarnet.models.plan import Operation
from iarnet.models.traffic import ServedPort
from iarnet.planning.diff import Wanted, World, diff
from iarnet.planning.serving import Serving, handed_over, with_serving

NAMES = ["a", "b", "c"]
PROVIDERS = ["p", "q"]
HOST_PORTS = [1, 2]
KEPT = (Volume(name="data", path="/data"),)


@dataclass(frozen=True)
class Way:
    """How a component is, and is reached: by the gateway when it is served, else by what its instances publish."""

    provider: str = "p"
    host_port: int | None = None
    through: bool = False
    image: str = "x"
    volumes: tuple[Volume, ...] = ()
    replicas: int = 1

    def wanted(self, name: str, revision: int) -> list[Wanted]:
        return [Wanted(self._spec(name, revision, replica), self.provider) for replica in range(self.replicas)]

    def _spec(self, name: str, revision: int, replica: int) -> InstanceSpec:
        own = self.host_port if replica == 0 and not self.through else None
        return InstanceSpec(
            name=f"iarnet-app-{name}-r{revision}-{replica}",
            app="app",
            component=name,
            kind="web",
            owner="me",
            revision=revision,
            replica=replica,
            epoch=revision,
            image=self.image,
            ports=(PortBinding(port=80, host_port=own),),
            volumes=self.volumes,
        )


@dataclass(frozen=True)
class Release:
    """The components of a revision."""

    number: int
    ways: dict[str, Way]

    @property
    def wanted(self) -> list[Wanted]:
        return [wanted for name, way in self.ways.items() for wanted in way.wanted(name, self.number)]

    def served(self, provider: str) -> tuple[ServedPort, ...]:
        ways = {name: way for name, way in self.ways.items() if way.through and way.provider == provider}
        return tuple(ServedPort(component=name, port=80, host_port=way.host_port) for name, way in ways.items())


class Host:
    """Instances and what the gateways listen for. `edges`: of what is there."""

    def __init__(self, release: Release, edges: Sequence[Edge] = ()) -> None:
        self.edges = edges
        self.there = {(w.provider_id, w.spec.name): running(w) for w in release.wanted}
        self.serves = {provider: release.served(provider) for provider in PROVIDERS}

    def plan(self, release: Release, edges: Sequence[Edge], **more: Any) -> tuple[Operation, ...]:
        actual = list(self.there.values())
        world = World(wanted=release.wanted, actual=actual, edges=edges, old_edges=self.edges, **more)
        serving = {p: Serving(self.serves[p], release.served(p)) for p in PROVIDERS}
        return with_serving(diff(world)[0], serving, actual)

    def carry_out(self, operations: Sequence[Operation], rng: random.Random, steps: int = 1000) -> None:
        by_id = {op.id: op for op in operations}
        assert len(by_id) == len(operations)
        assert {id for op in operations for id in op.after} <= by_id.keys()
        sorter = TopologicalSorter({op.id: op.after for op in operations})
        sorter.prepare()
        ready: list[str] = []
        while sorter.is_active() and steps:
            steps -= 1
            ready += sorter.get_ready()
            rng.shuffle(ready)
            op = by_id[ready.pop()]
            self._carry_out(op)
            sorter.done(op.id)

    def _carry_out(self, op: Operation) -> None:
        if op.kind == "remove":
            del self.there[op.provider_id, op.instance]
        if op.kind == "serve":
            self.serves[op.provider_id] = op.serves
        if op.kind == "deploy":
            assert op.spec
            wanted = Wanted(op.spec, op.provider_id)
            before = self.there.get((op.provider_id, op.instance))
            assert before in (None, running(wanted)), "another of that name is there"
            self.there[op.provider_id, op.instance] = running(wanted)
        for provider in PROVIDERS:
            held = self.held(provider)
            assert len(held) == len(set(held)), f"after {op.id} a host port of {provider} has two holders"

    def held(self, provider: str) -> list[int]:
        direct = [p.host_port for i in self.there.values() if i.provider_id == provider for p in i.ports]
        return [port for port in (*direct, *(s.host_port for s in self.serves[provider])) if port]

    def is_of(self, release: Release) -> bool:
        wanted = sorted((w.provider_id, w.spec.component, w.spec.replica, w.spec.spec_hash) for w in release.wanted)
        there = sorted((i.provider_id, i.component, i.replica, i.spec_hash) for i in self.there.values())
        served = all(set(self.serves[p]) == set(release.served(p)) for p in PROVIDERS)
        return there == wanted and served


def running(wanted: Wanted) -> Instance:
    s = wanted.spec
    return Instance(
        name=s.name,
        app=s.app,
        component=s.component,
        replica=s.replica,
        revision=s.revision,
        provider_id=wanted.provider_id,
        spec_hash=s.spec_hash,
        state="running",
        ports=s.ports,
    )


@st.composite
def releases(draw: st.DrawFn, number: int) -> Release:
    ways: dict[str, Way] = {}
    free = {provider: draw(st.permutations(HOST_PORTS)) for provider in PROVIDERS}
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True)):
        provider = draw(st.sampled_from(PROVIDERS)) if number > 1 else "p"
        volumes, is_published = draw(st.sampled_from([(), KEPT])), draw(st.booleans())
        ways[name] = Way(
            provider=provider,
            host_port=free[provider].pop() if free[provider] and is_published else None,
            through=draw(st.booleans()),
            image=draw(st.sampled_from("xy")),
            volumes=volumes,
            replicas=1 if volumes else draw(st.integers(1, 2)),
        )
    return Release(number, ways)


@st.composite
def turned(draw: st.DrawFn, release: Release) -> Release:
    """The same, partly reached another way, as after a switch of the gateway."""
    through = {name: way.through != draw(st.booleans()) for name, way in release.ways.items()}
    ways = {name: replace(way, through=through[name]) for name, way in release.ways.items()}
    return Release(release.number, ways)


@st.composite
def edges(draw: st.DrawFn) -> list[Edge]:
    order = draw(st.permutations(NAMES))
    pairs = [(x, y) for i, x in enumerate(order) for y in order[:i]]
    chosen = draw(st.lists(st.sampled_from(pairs), max_size=4, unique=True))
    return [Edge(from_=x, to=y, condition=draw(st.sampled_from(["started", "healthy"]))) for x, y in chosen]


RANDOM = st.randoms(use_true_random=False)


@given(st.data(), edges(), edges(), RANDOM, st.integers(0, 20))
def test_a_host_port_never_has_two_holders_on_the_way_and_on_the_way_back(
    data: st.DataObject, old: list[Edge], new: list[Edge], rng: random.Random, steps: int
) -> None:
    before = data.draw(releases(1))
    after = data.draw(st.one_of(turned(before), releases(2)))
    renewed = data.draw(st.sets(st.sampled_from(NAMES)))
    host = Host(before, old)
    host.carry_out(host.plan(after, new, renewed=renewed), rng)
    assert host.is_of(after)

    host = Host(before, old)
    host.carry_out(host.plan(after, new, renewed=renewed), rng, steps)
    host.edges = new
    back = data.draw(st.one_of(st.just(before), turned(before)))
    host.carry_out(host.plan(back, old, undoing=True), rng)
    assert host.is_of(back)


def serves(operations: Sequence[Operation]) -> dict[str, dict[str, int | None]]:
    """Each operation of the gateway: the host ports of the components that it serves by then."""
    return {op.id: {s.component: s.host_port for s in op.serves} for op in operations if op.kind == "serve"}


def after(operations: Sequence[Operation], id: str) -> set[str]:
    return set(next(op.after for op in operations if op.id == id))


def test_a_gateway_that_is_new_listens_when_the_last_that_published_a_port_has_gone() -> None:
    host = Host(Release(1, {"a": Way(host_port=1)}))
    plan = host.plan(Release(2, {"a": Way(host_port=1, through=True)}), [])
    assert serves(plan) == {"serve.p": {"a": None}, "take.p": {"a": 1}}
    assert after(plan, "deploy.a.0") == {"serve.p"}
    assert after(plan, "remove.iarnet-app-a-r1-0") == {"commit", "serve.p"}, "the old one goes on until then"
    assert after(plan, "take.p") == {"serve.p", "remove.iarnet-app-a-r1-0"}
    assert handed_over(plan) == ["host port 1 passes to the gateway: between the two nobody answers there"]


def test_a_gateway_that_is_to_be_none_lets_go_as_late_as_possible() -> None:
    host = Host(Release(1, {"a": Way(host_port=1, through=True), "b": Way(through=True)}))
    plan = host.plan(
        Release(2, {"a": Way(host_port=1), "b": Way(image="y")}), [Edge(from_="a", to="b", condition="healthy")]
    )
    assert serves(plan) == {"yield.p.a": {"a": None, "b": None}, "close.p": {}}
    assert after(plan, "yield.p.a") == {"deploy.b.0"}
    assert after(plan, "deploy.a.0") == {"deploy.b.0", "yield.p.a"}
    assert handed_over(plan) == [
        "host port 1 passes from the gateway to a itself: between the two nobody answers there"
    ]


def test_the_gateway_passes_a_port_on_when_all_is_there_and_before_anything_goes() -> None:
    host = Host(Release(1, {"a": Way(host_port=1, through=True)}))
    plan = host.plan(Release(2, {"b": Way(host_port=1, through=True)}), [])
    assert serves(plan) == {
        "serve.p": {"b": None, "a": 1},
        "pass.p": {"b": 1, "a": None},
        "close.p": {"b": 1},
    }
    assert after(plan, "pass.p") == {"serve.p", "commit"}
    assert "pass.p" in after(plan, "remove.iarnet-app-a-r1-0")
    assert handed_over(plan) == []


def test_instances_of_two_components_pass_a_port_on_one_after_the_other() -> None:
    host = Host(Release(1, {"a": Way(host_port=1)}))
    plan = host.plan(Release(2, {"b": Way(host_port=1), "c": Way()}), [Edge(from_="b", to="c")])
    assert after(plan, "remove.iarnet-app-a-r1-0") == {"deploy.c.0"}
    assert after(plan, "deploy.b.0") == {"deploy.c.0", "remove.iarnet-app-a-r1-0"}


def test_what_has_the_name_of_what_comes_and_is_another_goes_first() -> None:
    host = Host(Release(1, {"a": Way(host_port=1)}))
    plan = host.plan(Release(1, {"a": Way(host_port=1, through=True)}), [])
    assert "remove.iarnet-app-a-r1-0" in after(plan, "deploy.a.0")
    assert after(plan, "take.p") == {"serve.p", "remove.iarnet-app-a-r1-0"}
