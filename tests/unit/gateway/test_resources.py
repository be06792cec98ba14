"""The rules by which services, endpoints and routes become Envoy's resources."""

import random
from typing import Any

import pytest
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)
from xds.type.matcher.v3.ip_pb2 import IPMatcher

from iarnet.gateway.resources import CLUSTER, ENDPOINTS, LISTENER, ROUTES, Resources, resources
from iarnet.models.component import Ejection
from iarnet.models.traffic import Backend, Endpoint, Route, Service
from tests.unit.gateway.instances import endpoint, service


def of(*given: Service | Endpoint | Route) -> Resources:
    return resources(
        [x for x in given if isinstance(x, Service)],
        [x for x in given if isinstance(x, Endpoint)],
        [x for x in given if isinstance(x, Route)],
        publish_address="0.0.0.0",
    )


def route(id: str = "r", *to: Backend, **more: Any) -> Route:
    return Route(**{"id": id, "app": "shop", "component": "api", "to": to or (Backend(component="api"),), **more})


def hosts(found: Resources, cluster: str, priority: int = 0) -> list[tuple[str, int, int, int]]:
    """Address, port, health and weight of each."""
    return [
        (
            host.endpoint.address.socket_address.address,
            host.endpoint.address.socket_address.port_value,
            host.health_status,
            host.load_balancing_weight.value,
        )
        for group in found[ENDPOINTS][cluster].endpoints
        if group.priority == priority
        for host in group.lb_endpoints
    ]


def order(found: Resources, listener: str = "shop/127.0.0.1:8080/tcp") -> list[str]:
    (virtual,) = found[ROUTES][listener].virtual_hosts
    return [r.name for r in virtual.routes]


HEALTHY, UNHEALTHY, DRAINING = 1, 2, 3


def test_nothing_is_nothing() -> None:
    assert of() == {CLUSTER: {}, ENDPOINTS: {}, LISTENER: {}, ROUTES: {}}


def test_names_are_stable() -> None:
    found = of(
        service(port=8080, host_port=20000),
        service("db", 5432, "tcp", host_port=20001),
        service("dns", 53, "udp", host_port=20000),
        endpoint(revision=3),
        route("r", Backend(component="api", revision=3)),
    )
    clusters = {"shop/api/8080/tcp", "shop/api/8080/tcp@r3", "shop/db/5432/tcp", "shop/dns/53/udp"}
    http = {"shop/127.0.0.1:8080/tcp", "shop/0.0.0.0:20000/tcp"}
    other = {"127.0.0.1:5432/tcp", "0.0.0.0:20001/tcp", "127.0.0.1:53/udp", "0.0.0.0:20000/udp"}
    assert {kind: set(named) for kind, named in found.items()} == {
        CLUSTER: clusters,
        ENDPOINTS: clusters,
        LISTENER: http | {f"shop/{name}" for name in other},
        ROUTES: http,
    }


def test_the_same_input_gives_the_same_bytes_in_any_order() -> None:
    given = [
        *(service("api", 8080), service("web", 8080), service("web", 80, host_port=20000), service("db", 1, "tcp")),
        *(endpoint(address=f"127.0.1.{n}", revision=n, state="held") for n in (1, 2, 3)),
        *(
            route(
                f"r{n}", Backend(component="web"), Backend(component="api", revision=n), headers={"b": "1", "a": "2"}
            )
            for n in (1, 2, 3)
        ),
    ]

    def serialised() -> dict[str, dict[str, bytes]]:
        return {
            kind: {name: message.SerializeToString(deterministic=True) for name, message in named.items()}
            for kind, named in of(*given).items()
        }

    first = serialised()
    for seed in range(20):
        random.Random(seed).shuffle(given)
        assert serialised() == first


def test_endpoints_have_the_port_of_the_service_and_the_health_of_their_state() -> None:
    found = of(
        service(port=8080),
        service("db", 5432, "tcp"),
        endpoint("api", "127.0.1.1", weight=7),
        endpoint("api", "127.0.1.2", state="suspended"),
        endpoint("api", "127.0.1.3", state="draining"),
        endpoint("api", "127.0.1.4", state="held"),
        endpoint("db", "127.0.1.5"),
    )
    assert hosts(found, "shop/api/8080/tcp") == [
        ("127.0.1.1", 8080, HEALTHY, 7),
        ("127.0.1.2", 8080, UNHEALTHY, 100),
        ("127.0.1.3", 8080, DRAINING, 100),
        ("127.0.1.4", 8080, DRAINING, 100),
    ]
    assert hosts(found, "shop/db/5432/tcp") == [("127.0.1.5", 5432, HEALTHY, 100)]


@pytest.mark.parametrize("successor", [(), (endpoint(address="127.0.1.3"),), (endpoint(address="127.0.1.1"),)])
def test_a_held_endpoint_gives_places_to_wait_at_while_nobody_else_is_well(successor: tuple[Endpoint, ...]) -> None:
    given = (service(), endpoint(address="127.0.1.1", instance="old", state="held"), endpoint(address="127.0.1.2"))
    found = of(*given, *successor)
    waiting = hosts(found, "shop/api/8080/tcp", priority=1)
    assert {(port, health) for _, port, health, _ in waiting} == {(0, HEALTHY)}
    assert len(waiting) > len(hosts(found, "shop/api/8080/tcp"))  # outlier detection takes out half of all
    assert found[ENDPOINTS]["shop/api/8080/tcp"].policy.overprovisioning_factor.value >= 100 * 10_000


@pytest.mark.parametrize(
    ("states", "known", "waiting"),
    [
        (("active",), 1, 0),
        (("active", "active"), 3, 0),
        (("active", "draining"), 2, 0),
        (("active", "active", "draining"), 3, 0),
        (("active", "draining", "suspended"), 3, 4),
        (("draining", "draining", "draining"), 3, 0),
    ],
)
def test_one_of_two_may_be_ejected_and_nobody_is_turned_away_where_the_only_one_is(
    states: tuple[Any, ...], known: int, waiting: int
) -> None:
    given = [endpoint(address=f"127.0.1.{n}", state=state) for n, state in enumerate(states)]
    found = of(service(), *given)
    name = "shop/api/8080/tcp"
    counts = len(hosts(found, name)), len(hosts(found, name, priority=1))
    assert counts == (known, waiting)
    at_once = int(found[CLUSTER][name].outlier_detection.max_ejection_percent.value / 100 * sum(counts))
    assert states.count("active") > at_once or waiting > at_once or "active" not in states
    assert at_once or states.count("active") < 2
    assert [health for *_, health, _ in hosts(found, name)].count(HEALTHY) == states.count("active")

    by_answers = of(service(ejection=Ejection(after=3)), *given)
    assert (len(hosts(by_answers, name)), len(hosts(by_answers, name, priority=1))) == (len(states), 0)


@pytest.mark.parametrize("state", ["suspended", "draining"])
def test_without_a_held_one_nothing_waits(state: str) -> None:
    found = hosts(of(service(), endpoint(state=state)), "shop/api/8080/tcp")
    assert [health for _, _, health, _ in found] == [UNHEALTHY if state == "suspended" else DRAINING]
    assert hosts(of(service(), endpoint(state=state)), "shop/api/8080/tcp", priority=1) == []
    assert hosts(of(service()), "shop/api/8080/tcp") == []


def test_an_address_that_was_given_away_again_belongs_to_the_active_one() -> None:
    for names in (("a", "b"), ("b", "a")):
        old, new = (endpoint(instance=name, state=s) for name, s in zip(names, ("held", "active"), strict=True))
        assert hosts(of(service(), old, new), "shop/api/8080/tcp") == [("127.0.1.1", 8080, HEALTHY, 100)]


def test_a_revision_has_only_its_own_endpoints() -> None:
    given = [endpoint(address=f"127.0.1.{n}", revision=n) for n in (1, 2)]
    found = of(service(), *given, route("r", Backend(component="api", revision=2)))
    assert [address for address, *_ in hosts(found, "shop/api/8080/tcp@r2")] == ["127.0.1.2"]
    assert {f"127.0.1.{n}" for n in (1, 2)} == {address for address, *_ in hosts(found, "shop/api/8080/tcp")}


def test_more_conditions_win_and_then_the_longer_path() -> None:
    found = of(
        service(),
        route("a-path", path="/api"),
        route("b-longer", path="/api/v1"),
        route("c-header", headers={"x": "1"}),
        route("d-both", path="/a", headers={"x": "1"}),
        route("e-three", hosts=("h",), cookies={"c": "1"}, headers={"x": "1"}),
        route("f-all"),
    )
    assert order(found) == ["e-three", "d-both", "b-longer", "a-path", "c-header", "f-all", ""]


def test_port_0_is_the_first_for_http() -> None:
    found = of(
        service("api", 22, "tcp"),
        service("api", 9090),
        service("api", 8080),
        route("r", Backend(component="api"), Backend(component="api", port=9090)),
    )
    assert order(found, "shop/127.0.0.1:8080/tcp") == ["r", ""]
    assert order(found, "shop/127.0.0.1:9090/tcp") == [""]
    (virtual,) = found[ROUTES]["shop/127.0.0.1:8080/tcp"].virtual_hosts
    assert [c.name for c in virtual.routes[0].route.weighted_clusters.clusters] == [
        "shop/api/8080/tcp",
        "shop/api/9090/tcp",
    ]


def test_a_route_holds_also_where_the_service_is_published() -> None:
    found = of(service(host_port=20000), route())
    assert order(found, "shop/0.0.0.0:20000/tcp") == ["r", ""]


def test_a_port_with_a_route_is_for_http_only() -> None:
    def chains(*more: Route) -> list[str]:
        return [c.name for c in of(service(), *more)[LISTENER]["shop/127.0.0.1:8080/tcp"].filter_chains]

    assert chains() == ["http", "tcp"]
    assert chains(route()) == ["http"]


def test_a_changed_route_changes_no_listener() -> None:
    def listeners(path: str) -> Any:
        return of(service(host_port=20000), route(path=path))[LISTENER]

    assert listeners("/a") == listeners("/b")


def test_only_the_network_of_the_app_may_use_an_internal_listener() -> None:
    found = of(service(subnet="10.210.8.0/24", host_port=20000), service("db", 5432, "tcp", subnet="10.210.8.0/24"))
    for name, listener in found[LISTENER].items():
        published = "0.0.0.0" in name
        ranges = IPMatcher()
        restricted = listener.filter_chain_matcher.matcher_tree.custom_match.typed_config.Unpack(ranges)
        assert restricted is not published
        inside = [f"{r.address_prefix}/{r.prefix_len.value}" for m in ranges.range_matchers for r in m.ranges]
        assert inside == ([] if published else ["10.210.8.0/24"])
        assert listener.filter_chain_matcher.HasField("on_no_match") is published, "else strangers come in"
        assert listener.freebind.value is not published


def test_only_what_comes_from_outside_gets_its_address_added() -> None:
    def trusts(name: str) -> bool:
        manager = HttpConnectionManager()
        chain = of(service(host_port=20000))[LISTENER][name].filter_chains[0]
        assert chain.filters[0].typed_config.Unpack(manager)
        return bool(manager.use_remote_address.value)

    assert trusts("shop/0.0.0.0:20000/tcp")
    assert not trusts("shop/127.0.0.1:8080/tcp")


@pytest.mark.parametrize(
    "given",
    [
        (service("db", 8080, "tcp"), service("api", 8080)),
        (service("db", 8080, "tcp"), service("mq", 8080, "tcp")),
        (service("api", 8080, host_port=20000), service("web", 80, host_port=20000)),
        (service("api", 8080), service("api", 8080, "grpc")),
        (service("a", 53, "udp"), service("b", 53, "udp")),
    ],
)
def test_what_cant_be_told_apart_is_refused(given: tuple[Service, ...]) -> None:
    with pytest.raises(ValueError, match=f"{given[0].component}.*{given[1].component}|is wanted by"):
        of(*given)


@pytest.mark.parametrize(
    "lost",
    [
        route(component="apo"),
        route("r", Backend(component="gone")),
        route("r", Backend(component="db")),
        route("r", Backend(component="api", port=81)),
        route("r", Backend(component="api", revision=9)),
        route("r", Backend(component="api", weight=0)),
    ],
)
def test_a_route_that_leads_nowhere_is_left_out(lost: Route) -> None:
    given = (service(), service("db", 5432, "tcp"), endpoint())
    found = of(*given, lost)
    assert order(found) == [""]
    assert found[CLUSTER] == of(*given)[CLUSTER]


def destinations(found: Resources, listener: str = "shop/127.0.0.1:8080/tcp") -> dict[str, int]:
    """Of its first route: cluster and share; one alone has all."""
    action = found[ROUTES][listener].virtual_hosts[0].routes[0].route
    return {c.name: c.weight.value for c in action.weighted_clusters.clusters} or {action.cluster: 0}


def test_the_share_of_what_is_gone_goes_to_the_others() -> None:
    both = (Backend(component="api", weight=90), Backend(component="api", revision=2, weight=10))
    given = (service(), endpoint(address="127.0.1.1"), route("r", *both, mirror="gone"))
    assert destinations(of(*given)) == {"shop/api/8080/tcp": 0}
    found = of(*given, endpoint(address="127.0.1.2", revision=2))
    assert destinations(found) == {"shop/api/8080/tcp": 90, "shop/api/8080/tcp@r2": 10}
    assert not found[ROUTES]["shop/127.0.0.1:8080/tcp"].virtual_hosts[0].routes[0].route.request_mirror_policies


@pytest.mark.parametrize("state", ["draining", "held", "suspended"])
def test_routes_can_leave_a_revision_before_it_turns_anybody_away(state: str) -> None:
    both = (Backend(component="api", revision=1, weight=90), Backend(component="api", revision=2, weight=10))
    first, second = endpoint(address="127.0.1.1"), endpoint(address="127.0.1.2", revision=2)
    ending = second.model_copy(update={"state": state})
    known = ([service()], [first, second], [route("r", *both)])
    found = resources(*known, publish_address="0.0.0.0", led_by=[first, ending])
    assert destinations(found) == {"shop/api/8080/tcp@r1": 0}
    assert hosts(found, "shop/api/8080/tcp@r2") == [("127.0.1.2", 8080, HEALTHY, 100)]
    assert destinations(of(service(), first, ending, route("r", *both))) == {"shop/api/8080/tcp@r1": 0}
    assert "shop/api/8080/tcp@r2" not in of(service(), first, route("r", *both))[CLUSTER], "it has ended"


@pytest.mark.parametrize(
    ("retries", "times"), [(None, [240]), (0, [240, 0]), (3, [240, 3])], ids=["patience", "none", "some"]
)
def test_a_route_says_how_often_a_request_is_sent_again(retries: int | None, times: list[int]) -> None:
    (virtual,) = of(service(), route(retries=retries))[ROUTES]["shop/127.0.0.1:8080/tcp"].virtual_hosts
    policies = [virtual.retry_policy, *(r.route.retry_policy for r in virtual.routes)]
    given = [policy for policy in policies if policy.retry_on]
    assert [policy.num_retries.value for policy in given] == times
    assert {policy.retry_on for policy in given} == {"connect-failure,refused-stream,reset-before-request"}
