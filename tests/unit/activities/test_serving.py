"""What a change leaves of what the gateway listens for."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from activities.scene import Scene
from iarnet.models.component import Component, Port
from iarnet.models.instance import Instance, InstanceSpec, PortBinding
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
        proven=0,
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


def specs(c: Component, *, served: Mapping[str, int] | None = None) -> list[InstanceSpec]:
    """With a host port of its own where it is not served."""
    own = None if c.name in (served or {}) else 20000
    who = {"name": f"iarnet-shop-{c.name}-r1-0", "app": "shop", "component": c.name, "kind": "web", "owner": "me"}
    ports = (PortBinding(port=c.ports[0].port, host_port=own),)
    return [
        InstanceSpec.model_validate({**who, "revision": 1, "replica": 0, "epoch": 1, "image": "a", "ports": ports})
    ]


def there(c: Component, *, served: bool) -> Instance:
    (spec,) = specs(c, served={c.name: 0} if served else {})
    who = spec.model_dump(include={"name", "app", "component", "ports"})
    return Instance.model_validate({**who, "provider_id": "p", "spec_hash": spec.spec_hash, "state": "running"})


def test_without_a_gateway_all_of_a_change_closes_and_the_rest_stays() -> None:
    without = scene(gateway=False, p=(WEB, DB))
    assert without.offered("p", [component(WEB)], specs, undoing=False) == []
    serving, _ = without.serving("p", [], {}, None)
    assert (set(serving.before), serving.after, serving.moved) == ({WEB, DB}, (), {"web", "db"})
    serving, _ = without.serving("p", [], {}, {"web"})
    assert (serving.after, serving.moved) == ((DB,), {"web"})


@pytest.mark.parametrize("gateway", [True, False])
def test_undoing_leaves_what_runs_reached_as_it_is(gateway: bool) -> None:
    """`web` by its own port, `db` through the gateway; `far` has gone and comes back as it would now."""
    web, db, far = component(WEB), component(DB), component(FAR)
    as_it_was = (there(web, served=False), there(db, served=True))
    found = replace(scene(gateway=gateway, p=(WEB, DB, FAR)), actual=as_it_was)
    offered = found.offered("p", [web, db, far], specs, undoing=True)
    assert offered == ([db, far] if gateway else [db])


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
