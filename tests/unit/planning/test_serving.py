"""What the gateway listens for, and when."""

from iarnet.models.component import Component, Port
from iarnet.models.plan import Operation
from iarnet.models.traffic import ServedPort
from iarnet.planning.serving import Serving, served, with_serving

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


def test_http_components_share_a_port() -> None:
    found, notes = served([component("web", Port(port=8080)), component("api", Port(port=8080))], {}, [], 1)
    assert [port.component for port in found] == ["web", "api"]
    assert notes == []


def test_a_tcp_port_has_one_holder_and_the_other_is_reached_directly() -> None:
    other = component("other", Port(port=5432, protocol="tcp"), Port(port=9090))
    found, notes = served([component("db", Port(port=5432, protocol="tcp")), other], {}, [], 1)
    assert found == (DB,)
    assert notes == ["other is reached directly, not through the gateway: db has port 5432 there"]


def test_a_component_that_is_served_already_keeps_its_port() -> None:
    found, notes = served([component("cache", Port(port=5432, protocol="tcp"))], {}, [DB], 1)
    assert found == ()
    assert "db has port 5432" in notes[0]


def test_udp_and_tcp_do_not_meet() -> None:
    dns = component("dns", Port(port=53, protocol="tcp"), Port(port=53, protocol="udp"))
    assert len(served([dns], {}, [], 1)[0]) == 2


def test_a_port_that_needs_rights_is_not_served() -> None:
    found, notes = served([component("web", Port(port=80))], {}, [], 1024)
    assert found == ()
    assert "port 80 needs rights" in notes[0]


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
