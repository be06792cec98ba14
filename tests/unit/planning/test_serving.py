"""What the gateway listens for, and when."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from iarnet.gateway.listeners import places
from iarnet.models.component import Component, Ejection, HealthCheck, Limits, Port
from iarnet.models.plan import Operation
from iarnet.models.traffic import Protocol, ServedPort, Service
from iarnet.planning.serving import ADDRESSES, Serving, served, with_serving

WEB = ServedPort(component="web", port=8080, host_port=20000)
API = ServedPort(component="api", port=8080)
DB = ServedPort(component="db", port=5432, protocol="tcp")


def component(name: str, *ports: Port, kind: str = "web") -> Component:
    return Component(name=name, kind=kind, image="a", ports=ports)


def deploy(name: str, provider: str = "p", **more: object) -> Operation:
    return Operation(id=f"deploy.{name}", kind="deploy", component=name, provider_id=provider, **more)


def remove(name: str, provider: str = "p") -> Operation:
    return Operation(id=f"remove.{name}", kind="remove", component=name, provider_id=provider)


def after(operations: tuple[Operation, ...], id: str) -> tuple[str, ...]:
    return next(op.after for op in operations if op.id == id)


def test_every_port_of_every_component_is_served_but_those_of_jobs() -> None:
    components = [
        component("web", Port(port=8080, publish="auto")),
        component("db", Port(port=5432, protocol="tcp")),
        component("migrate", Port(port=9000), kind="job"),
        component("worker"),
    ]
    assert served(components, {"web/8080/tcp": 20000}, [], 1) == ((WEB, DB), [])


def test_the_port_that_the_check_asks_is_checked_at_the_gateway() -> None:
    ports = (Port(port=53, protocol="udp"), Port(port=80), Port(port=81, protocol="grpc"))

    def checked(health: HealthCheck | None) -> list[int]:
        found, _ = served([component("web", *ports).model_copy(update={"health": health})], {}, [], 1)
        assert {port.health for port in found} <= {None, health}
        return [port.port for port in found if port.health]

    assert checked(HealthCheck(type="http", port=81)) == [81]
    assert checked(HealthCheck(type="grpc", port=81)) == [81]
    assert checked(HealthCheck(type="tcp")) == [80], "the first that can be connected to"
    assert checked(HealthCheck(type="tcp", port=53)) == []
    assert checked(HealthCheck(type="tcp", port=9000)) == [], "one that is not served"
    assert checked(HealthCheck(type="command", command=("true",))) == []
    assert checked(HealthCheck(type="none")) == checked(None) == []


def test_what_bounds_a_component_is_served_with_each_of_its_ports() -> None:
    bounds = {"limits": Limits(requests=9), "ejection": Ejection(after=2)}
    web = component("web", Port(port=80), Port(port=81)).model_copy(update=bounds)
    found, _ = served([web], {}, [], 1)
    assert [(port.limits, port.ejection) for port in found] == [(Limits(requests=9), Ejection(after=2))] * 2


def test_a_changed_check_is_served_anew() -> None:
    changed = WEB.model_copy(update={"health": HealthCheck(path="/health")})
    plan = with_serving([], {"p": Serving(before=(WEB,), after=(changed,))})
    assert [(op.id, op.serves) for op in plan] == [("serve.p", (changed,))]


def test_http_components_share_a_port() -> None:
    found, notes = served([component("web", Port(port=8080)), component("api", Port(port=8080))], {}, [], 1)
    assert [port.component for port in found] == ["web", "api"]
    assert notes == []


def database(name: str, port: int = 5432, *more: Port) -> Component:
    return component(name, Port(port=port, protocol="tcp"), *more)


def slots(found: Sequence[ServedPort]) -> dict[str, int]:
    """Where each is; fails when one is at two addresses."""
    at = {(port.component, port.slot) for port in found}
    assert len(at) == len(dict(at))
    return dict(at)


def test_who_wants_a_port_that_another_has_gets_the_next_address_for_all_its_ports() -> None:
    others = [database("other", 5432, Port(port=9090)), database("third"), database("fourth", 5433)]
    found, notes = served([database("db"), *others], {}, [], 1)
    assert slots(found) == {"db": 0, "other": 1, "third": 2, "fourth": 0}
    assert len(found) == 5
    assert notes == []


def test_a_request_tells_no_host_on_a_port_that_is_not_for_requests_alone() -> None:
    found, _ = served(
        [component("web", Port(port=5432)), database("db"), component("api", Port(port=5432))], {}, [], 1
    )
    assert slots(found) == {"web": 0, "db": 1, "api": 0}


def test_who_is_served_already_keeps_its_address_whoever_else_comes_and_goes() -> None:
    three = [database("a"), database("b"), database("c")]
    first, _ = served(three, {}, [], 1)
    assert slots(served(three[::-1], {}, first, 1)[0]) == slots(first)
    found, _ = served([database("new"), *three[1:]], {}, first, 1)
    assert slots(found) == {"b": 1, "c": 2, "new": 3}, "the port of who leaves is not free yet"
    again, _ = served([database("newer"), *three[1:]], {}, found[:2], 1)
    assert slots(again) == {"b": 1, "c": 2, "newer": 0}


def test_who_wants_another_port_besides_moves_when_that_is_taken() -> None:
    db, cache = database("db"), database("cache", 6379)
    before, _ = served([db, cache], {}, [], 1)
    after, _ = served([database("db", 5432, Port(port=6379, protocol="tcp")), cache], {}, before, 1)
    assert slots(after) == {"db": 1, "cache": 0}
    assert Serving(before, after).moved == {"db"}
    assert Serving(after, before[1:]).moved == {"db"}
    assert Serving(before, before).moved == set()


def test_the_last_address_is_the_limit() -> None:
    many = [database(f"db-{n}", 5432, Port(port=8080)) for n in range(ADDRESSES + 1)]
    found, notes = served(many, {}, [], 1)
    assert sorted(slots(found).values()) == list(range(ADDRESSES))
    (note,) = notes
    assert note.startswith(f"db-{ADDRESSES} is reached directly")
    assert f"port 5432, 8080 at each of the {ADDRESSES} addresses" in note


PROTOCOLS = st.sampled_from(["http", "grpc", "websocket", "tcp", "udp"])
APPS = st.dictionaries(
    st.sampled_from([f"c{n}" for n in range(20)]),
    st.dictionaries(st.sampled_from([53, 80, 5432]), PROTOCOLS, min_size=1),
)


@given(st.lists(APPS, min_size=1, max_size=4))
def test_listeners_can_always_be_told_apart(changes: list[dict[str, dict[int, Protocol]]]) -> None:
    """Also while a change is on its way: what leaves is there until it has left."""
    before: tuple[ServedPort, ...] = ()
    for app in changes:
        components = [component(n, *(Port(port=p, protocol=how) for p, how in ps.items())) for n, ps in app.items()]
        after, notes = served(components, {}, before, 1)
        assert {*slots(after)} == {*app} - {note.split()[0] for note in notes}
        operations = with_serving([], {"p": Serving(before, after)})
        for each in operations:
            where = {"app": "shop", "provider_id": "p", "subnet": "10.210.8.0/26"}
            services = [Service(**dict(s), **where, address=f"10.210.{s.slot}.1") for s in each.serves]
            assert len(places(services, "0.0.0.0")) == len({(s.address, s.port, s.transport) for s in services})
        before = after


def test_udp_and_tcp_do_not_meet() -> None:
    dns = component("dns", Port(port=53, protocol="tcp"), Port(port=53, protocol="udp"))
    assert slots(served([dns], {}, [], 1)[0]) == {"dns": 0}
    clients = [component("ask", Port(port=53, protocol="tcp")), component("tell", Port(port=53, protocol="udp"))]
    assert slots(served(clients, {}, [], 1)[0]) == {"ask": 0, "tell": 0}


def test_a_port_that_needs_rights_is_not_served() -> None:
    found, notes = served([component("web", Port(port=80))], {}, [], 1024)
    assert found == ()
    assert "port 80 needs rights" in notes[0]
    found, notes = served([component("web", Port(port=8080))], {"web/8080/tcp": 443}, [], 1024)
    assert found == ()
    assert "port 443 needs rights" in notes[0]


def test_addresses_open_before_anything_starts() -> None:
    plan = with_serving([deploy("web"), deploy("far", "q")], {"p": Serving(after=(WEB, DB))})
    assert plan[0].kind == "serve"
    assert plan[0].serves == (WEB, DB)
    assert after(plan, "deploy.web") == ("serve.p",)
    assert after(plan, "deploy.far") == ()


def test_nothing_is_opened_twice() -> None:
    operations = (deploy("web"),)
    assert with_serving(operations, {"p": Serving(before=(WEB,), after=(WEB,))}) == operations


def test_an_address_closes_when_the_last_instance_has_gone() -> None:
    plan = with_serving([deploy("web"), remove("db")], {"p": Serving(before=(WEB, DB), after=(WEB,))})
    assert [op.id for op in plan] == ["deploy.web", "remove.db", "close.p"]
    assert plan[-1].serves == (WEB,)
    assert set(plan[-1].after) == {"deploy.web", "remove.db"}


def test_what_leaves_stays_open_until_it_has_left() -> None:
    plan = with_serving([deploy("api"), remove("db")], {"p": Serving(before=(DB,), after=(API,))})
    assert [op.id for op in plan] == ["serve.p", "deploy.api", "remove.db", "close.p"]
    assert plan[0].serves == (API, DB)
    assert plan[-1].serves == (API,)


def test_a_port_that_is_published_elsewhere_moves_at_once() -> None:
    moved = WEB.model_copy(update={"host_port": 20001})
    plan = with_serving([], {"p": Serving(before=(WEB,), after=(moved,))})
    assert [(op.id, op.serves) for op in plan] == [("serve.p", (moved,))]


def test_a_network_is_removed_after_its_addresses_are_closed() -> None:
    release = Operation(id="release.p", kind="release", provider_id="p", after=("remove.web",))
    plan = with_serving([remove("web"), release], {"p": Serving(before=(WEB,))})
    assert "close.p" in after(plan, "release.p")


def test_what_stays_is_led_to_when_the_gateway_is_new() -> None:
    plan = with_serving([], {"p": Serving(before=(WEB,), after=(WEB,), admits=("iarnet-shop-web-r1-0",))})
    assert [(op.kind, op.admits) for op in plan] == [("serve", ("iarnet-shop-web-r1-0",))]


def test_who_is_asked_for_by_a_fixed_address_shares_no_port() -> None:
    """Requests to an address don't say whom they are for; names do."""
    web = component("web", Port(port=8080))
    named = component("api", Port(port=8080)).model_copy(update={"aliases": ("my_api",)})
    fixed = component("db", Port(port=8080)).model_copy(update={"aliases": ("172.20.0.2",)})
    ports, _ = served([web, named, fixed], {}, (), 1)
    assert {port.component: port.slot for port in ports} == {"web": 0, "api": 0, "db": 1}
