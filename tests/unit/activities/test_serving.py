"""What a change leaves of what the gateway listens for."""

from dataclasses import replace
from datetime import UTC, datetime

from activities.scene import Scene
from iarnet.models.component import Component, Port
from iarnet.models.plan import Kept
from iarnet.models.provider import Capabilities, ProviderHealth, ProviderInfo, ProviderState
from iarnet.models.resources import Capacity, Resources
from iarnet.models.traffic import Backend, Route, ServedPort, Service

WEB = ServedPort(component="web", port=8080)
DB = ServedPort(component="db", port=5432, protocol="tcp")
FAR = ServedPort(component="far", port=5432, protocol="tcp")


def component(port: ServedPort) -> Component:
    ports = (Port(port=port.port, protocol=port.protocol),)
    return Component(name=port.component, kind="web", image="a", ports=ports)


def scene(*, gateway: bool = True, **served: tuple[ServedPort, ...]) -> Scene:
    """`served`: what is, by provider."""
    return Scene(
        states={id: _state(id, gateway=gateway) for id in ("p", "q")},
        actual=(),
        previous=None,
        services=tuple(
            Service(**dict(port), app="shop", provider_id=id, address="10.210.8.1", subnet="10.210.8.0/26")
            for id, ports in served.items()
            for port in ports
        ),
        admitted=frozenset(),
    )


def test_what_is_no_longer_of_the_app_closes() -> None:
    serving, _ = scene(p=(WEB, DB)).serving("p", [component(WEB)], {}, None)
    assert (set(serving.before), serving.after) == ({WEB, DB}, (WEB,))


def test_what_a_change_of_some_components_does_not_touch_stays() -> None:
    there = scene(p=(WEB, DB), q=(FAR,))
    serving, _ = there.serving("p", [component(WEB)], {}, {"web"})
    assert set(serving.after) == {WEB, DB}
    complete = there.complete({"p": serving}, [], {"web"})
    assert complete["q"].before == complete["q"].after == (FAR,)


def test_a_provider_that_the_app_leaves_closes() -> None:
    complete = scene(q=(FAR,)).complete({}, [], None)
    assert (complete["q"].before, complete["q"].after) == ((FAR,), ())


def test_what_stays_and_is_served_now_is_led_to() -> None:
    there = scene()
    serving, _ = there.serving("p", [component(DB), component(FAR)], {}, None)
    assert [port.slot for port in serving.after] == [0, 1]
    kept = [Kept(instance=f"iarnet-shop-{c}-r1-0", component=c, provider_id="p", reason="") for c in ("db", "worker")]
    assert there.complete({"p": serving}, kept, None)["p"].admits == ("iarnet-shop-db-r1-0",)


def test_without_a_gateway_all_of_it_closes() -> None:
    serving, _ = scene(gateway=False, p=(WEB,)).serving("p", [component(WEB)], {}, None)
    assert (serving.before, serving.after, serving.moved) == ((WEB,), (), {"web"})


def test_a_route_to_what_the_change_takes_away_is_told() -> None:
    api, old = (ServedPort(component=name, port=80) for name in ("api", "old"))
    to = (Backend(component="old"), Backend(component="api"))
    routes = tuple(Route(id=id, app="shop", component="web", to=to, mirror=m) for id, m in (("a", None), ("b", "no")))
    there = replace(scene(p=(WEB, api, old)), routes=routes)
    _, notes = there.serving("p", [component(WEB), component(api)], {}, None)
    assert notes == [f"route {id}: nobody takes HTTP requests to old: the others take its share" for id in ("a", "b")]
    assert there.serving("p", [component(port) for port in (WEB, api, old)], {}, None)[1] == []


def _state(id: str, *, gateway: bool) -> ProviderState:
    able = Capabilities(gateway=gateway)
    nothing = Capacity(total=Resources(), used=Resources(), available=Resources())
    info = ProviderInfo(id=id, name=id, type="memory", capabilities=able)
    return ProviderState(
        info=info, status="active", capacity=nothing, health=ProviderHealth(reachable=True), seen_at=datetime.now(UTC)
    )
