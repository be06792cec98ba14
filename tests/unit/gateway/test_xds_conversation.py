"""The incremental protocol, from the side of the server, without Envoy."""

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DeltaDiscoveryResponse

from iarnet.gateway.delta import Batch, Conversation, Items, items
from iarnet.gateway.resources import CLUSTER, ENDPOINTS, LISTENER, ROUTES, SECRET

C, L = "shop/api", "shop/listener"


def wanted(change: str = "", *, kind: str = "", check: int = 0) -> Items:
    """A cluster behind a listener. The resource of this `kind` has the `change`; `check` seconds between checks."""

    def text(of: str) -> str:
        return change if of == kind else ""

    return items(
        {
            CLUSTER: {C: Cluster(name=C, alt_stat_name=text(CLUSTER), health_checks=_checks(check))},
            ENDPOINTS: {C: ClusterLoadAssignment(cluster_name=C + text(ENDPOINTS))},
            LISTENER: {L: Listener(name=L, stat_prefix=text(LISTENER))},
            ROUTES: {L: RouteConfiguration(name=L + text(ROUTES))},
        }
    )


def _checks(interval_s: int) -> list[dict[str, object]]:
    return [{"interval": {"seconds": interval_s}, "tcp_health_check": {}}] if interval_s else []


class EnvoySide:
    """Answers as Envoy does, and asks for what clusters and listeners name."""

    def __init__(self, talk: Conversation, versions: dict[str, dict[str, str]] | None = None) -> None:
        self.talk = talk
        for kind in (CLUSTER, LISTENER):
            self.ask(kind, versions=(versions or {}).get(kind))
        for kind in (ENDPOINTS, ROUTES):
            if versions:
                self.ask(kind, *versions[kind], versions=versions[kind])

    def ask(self, kind: str, *names: str, versions: dict[str, str] | None = None) -> None:
        self.talk.hear(
            DeltaDiscoveryRequest(
                type_url=kind, resource_names_subscribe=names, initial_resource_versions=versions or {}
            )
        )

    def refuse(self, response: DeltaDiscoveryResponse) -> None:
        request = DeltaDiscoveryRequest(type_url=response.type_url, response_nonce=response.nonce)
        request.error_detail.message = "no"
        self.talk.hear(request)

    def accept(self, response: DeltaDiscoveryResponse) -> None:
        self.talk.hear(DeltaDiscoveryRequest(type_url=response.type_url, response_nonce=response.nonce))

    def take(self, goal: Items) -> list[tuple[str, list[str], list[str]]]:
        """What comes until nothing more does: type, names, names that are removed."""
        heard = []
        while response := self.talk.next("shop", goal):
            names = [r.name for r in response.resources]
            heard.append((response.type_url, names, list(response.removed_resources)))
            follows = {CLUSTER: ENDPOINTS, LISTENER: ROUTES}.get(response.type_url)
            if names and follows and not self.asked(follows, names):
                self.ask(follows, *names)
            self.accept(response)
        return heard

    def asked(self, kind: str, names: list[str]) -> bool:
        return self.talk._asked[kind].issuperset(names)


def versions_of(state: Items) -> dict[str, dict[str, str]]:
    return {kind: {name: item.version for name, item in named.items()} for kind, named in state.items()}


def test_what_is_named_comes_before_what_names_it_is_used() -> None:
    talk = Conversation()
    heard = EnvoySide(talk).take(wanted())
    assert heard == [(CLUSTER, [C], []), (ENDPOINTS, [C], []), (LISTENER, [L], []), (ROUTES, [L], [])]
    assert talk.complete("shop", wanted())
    assert not talk.complete("shop", wanted("x", kind=ROUTES))


def test_endpoints_do_not_wait_for_their_cluster_to_be_accepted() -> None:
    talk = Conversation()
    envoy = EnvoySide(talk)
    first = talk.next("shop", wanted())
    assert first is not None
    assert talk.next("shop", wanted()) is None
    envoy.ask(ENDPOINTS, C)
    second = talk.next("shop", wanted())
    assert second is not None
    assert second.type_url == ENDPOINTS
    envoy.accept(second)
    assert talk.next("shop", wanted()) is None
    envoy.accept(first)
    third = talk.next("shop", wanted())
    assert third is not None
    assert third.type_url == LISTENER


def test_a_change_sends_what_has_changed_and_nothing_else() -> None:
    envoy = EnvoySide(Conversation())
    envoy.take(wanted())
    assert envoy.take(wanted()) == []
    for kind, name in ((ENDPOINTS, C), (LISTENER, L), (ROUTES, L)):
        assert envoy.take(wanted("x", kind=kind))[-1:] == [(kind, [name], [])]
        envoy.take(wanted())


def test_a_changed_cluster_gets_its_endpoints_again() -> None:
    envoy = EnvoySide(Conversation())
    envoy.take(wanted())
    assert envoy.take(wanted("x", kind=CLUSTER)) == [(CLUSTER, [C], []), (ENDPOINTS, [C], [])]


def test_what_leads_there_is_removed_first() -> None:
    talk = Conversation()
    envoy = EnvoySide(talk)
    envoy.take(wanted())
    assert envoy.take({}) == [(LISTENER, [], [L]), (CLUSTER, [], [C])]
    assert talk.complete("shop", {})


def test_an_envoy_that_has_everything_gets_nothing() -> None:
    talk = Conversation()
    assert EnvoySide(talk, versions_of(wanted())).take(wanted()) == []
    assert talk.complete("shop", wanted())


def test_an_envoy_that_connects_again_gets_the_difference() -> None:
    had = versions_of(wanted("old", kind=ROUTES))
    had[LISTENER]["shop/gone"] = "x"
    heard = EnvoySide(Conversation(), had).take(wanted())
    assert heard == [(ROUTES, [L], []), (LISTENER, [], ["shop/gone"])]


def test_nothing_is_sent_before_envoy_has_said_what_it_has() -> None:
    talk = Conversation()
    talk.hear(DeltaDiscoveryRequest(type_url=CLUSTER))
    assert talk.next("shop", wanted()) is None
    assert not talk.complete("shop", {})


def test_endpoints_that_envoy_waits_for_come_even_then() -> None:
    """Until it has them it does not ask for its clusters again."""
    talk = Conversation()
    talk.hear(DeltaDiscoveryRequest(type_url=ENDPOINTS, resource_names_subscribe=[C]))
    response = talk.next("shop", wanted())
    assert response is not None
    assert (response.type_url, [r.name for r in response.resources]) == (ENDPOINTS, [C])


def test_so_do_those_of_a_cluster_that_was_sent_before_the_connection_broke() -> None:
    broken = Conversation()
    EnvoySide(broken).take(wanted())
    assert broken.next("shop", wanted("x", kind=CLUSTER)) is not None
    talk = Conversation(broken)
    had = versions_of(wanted())[ENDPOINTS]
    talk.hear(DeltaDiscoveryRequest(type_url=ENDPOINTS, resource_names_subscribe=[C], initial_resource_versions=had))
    response = talk.next("shop", wanted("x", kind=CLUSTER))
    assert response is not None
    assert response.type_url == ENDPOINTS


def test_what_is_refused_is_told_with_its_reason_and_sent_again_in_the_version_before() -> None:
    talk = Conversation()
    envoy = EnvoySide(talk)
    envoy.take(wanted())
    response = talk.next("shop", wanted("x", kind=LISTENER))
    assert response is not None
    request = DeltaDiscoveryRequest(type_url=LISTENER, response_nonce=response.nonce)
    request.error_detail.message = "no"
    answer = talk.hear(request)
    assert answer.refused is not None
    assert (answer.reason, answer.refused.app, list(answer.refused.versions)) == ("no", "shop", [L])
    assert envoy.take(wanted()) == [(LISTENER, [L], [])]


def test_what_is_passed_over_is_left_out_until_it_is_reconsidered() -> None:
    talk = Conversation()
    envoy = EnvoySide(talk)
    envoy.take(wanted())
    response = talk.next("shop", wanted("x", kind=LISTENER))
    assert response is not None
    request = DeltaDiscoveryRequest(type_url=LISTENER, response_nonce=response.nonce)
    request.error_detail.message = "no"
    refused = talk.hear(request).refused
    assert refused is not None
    talk.pass_over(refused)
    assert talk.complete("shop", wanted("x", kind=LISTENER))
    talk.reconsider("shop")
    assert envoy.take(wanted("x", kind=LISTENER)) == [(LISTENER, [L], [])]


def test_what_is_asked_for_again_was_forgotten() -> None:
    envoy = EnvoySide(Conversation())
    envoy.take(wanted())
    envoy.talk.hear(DeltaDiscoveryRequest(type_url=ENDPOINTS, resource_names_unsubscribe=[C]))
    envoy.ask(ENDPOINTS, C)
    assert envoy.take(wanted()) == [(ENDPOINTS, [C], [])]


def test_other_types_are_no_concern_of_ours() -> None:
    talk = Conversation()
    secrets = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
    assert talk.hear(DeltaDiscoveryRequest(type_url=secrets)).apps == set()


def checked_in(response: DeltaDiscoveryResponse | None) -> list[int]:
    """Seconds between the checks of the cluster that it carries."""
    assert response is not None
    (resource,) = response.resources
    cluster = Cluster()
    assert resource.resource.Unpack(cluster)
    return [check.interval.seconds for check in cluster.health_checks]


def opened(envoy: EnvoySide, goal: Items) -> DeltaDiscoveryResponse:
    """What comes once a new cluster is in use without its check, and not accepted yet."""
    first = envoy.talk.next("shop", goal)
    assert checked_in(first) == []
    assert first is not None
    envoy.accept(first)
    envoy.ask(ENDPOINTS, C)
    for _ in range(3):
        response = envoy.talk.next("shop", goal)
        assert response is not None
        if response.type_url == LISTENER:
            envoy.ask(ROUTES, L)
        envoy.accept(response)
    assert envoy.talk.next("shop", goal) is None
    assert envoy.talk.complete("shop", goal)
    whole = envoy.talk.replace("shop", goal)
    assert whole is not None
    return whole


def test_a_new_cluster_is_used_before_its_endpoints_have_been_asked() -> None:
    talk = Conversation()
    envoy = EnvoySide(talk)
    goal = wanted(check=1)
    whole = opened(envoy, goal)
    assert checked_in(whole) == [1]
    endpoints = talk.next("shop", goal)
    assert endpoints is not None
    assert endpoints.type_url == ENDPOINTS
    envoy.accept(endpoints)
    assert talk.complete("shop", goal), "nothing waits until Envoy has asked them all"
    assert talk.next("shop", goal) is talk.replace("shop", goal) is None
    envoy.accept(whole)
    assert talk.next("shop", goal) is talk.replace("shop", goal) is None


def test_a_change_goes_out_while_endpoints_are_asked() -> None:
    talk = Conversation()
    envoy = EnvoySide(talk)
    whole = opened(envoy, wanted(check=1))
    goal = wanted("x", kind=LISTENER, check=1)
    heard = envoy.take(goal)
    assert [kind for kind, _, _ in heard] == [ENDPOINTS, LISTENER]
    envoy.accept(whole)
    assert talk.complete("shop", goal)
    assert talk.replace("shop", goal) is None


def test_a_changed_check_comes_in_one_step() -> None:
    talk = Conversation()
    EnvoySide(talk, versions_of(wanted(check=1)))
    assert checked_in(talk.next("shop", wanted(check=2))) == [2]


def test_an_envoy_that_connects_again_gets_only_the_check_that_it_lacks() -> None:
    goal = wanted(check=1)
    lacking = versions_of(goal)
    first = goal[CLUSTER][C].first
    assert first is not None
    lacking[CLUSTER][C] = first.version
    talk = Conversation()
    assert EnvoySide(talk, lacking).take(goal) == []
    assert checked_in(talk.replace("shop", goal)) == [1]
    talk = Conversation()
    assert EnvoySide(talk, versions_of(goal)).take(goal) == []
    assert talk.replace("shop", goal) is None


def test_a_check_that_is_refused_leaves_the_cluster_as_it_was() -> None:
    talk = Conversation()
    envoy = EnvoySide(talk)
    goal = wanted(check=1)
    envoy.refuse(opened(envoy, goal))
    assert [kind for kind, _, _ in envoy.take(goal)] == [ENDPOINTS]
    assert talk.complete("shop", goal)
    assert talk.replace("shop", goal) is None
    changed = wanted("x", kind=ENDPOINTS, check=1)
    assert [kind for kind, _, _ in envoy.take(changed)] == [ENDPOINTS]


def test_what_a_refused_listener_names_is_passed_over_with_it() -> None:
    front = "@https/listener"
    goal = items(
        {
            LISTENER: {front: Listener(name=front)},
            ROUTES: {f"{front}#a": RouteConfiguration(name="a")},
            SECRET: {f"{front}#a": Secret(name="a")},
        }
    )
    talk = Conversation()
    envoy = EnvoySide(talk)
    response = talk.next("@https", goal)
    assert response
    envoy.refuse(response)
    assert not talk.complete("@https", goal)
    talk.pass_over(Batch("@https", LISTENER, {front: None}))
    assert talk.complete("@https", goal)
    assert talk.passes_over("@https")
    talk.reconsider("@https")
    response = talk.next("@https", goal)
    assert response
    for kind in (ROUTES, SECRET):
        envoy.ask(kind, f"{front}#a")
    envoy.accept(response)
    for kind in (ROUTES, SECRET):
        response = talk.next("@https", goal)
        assert response
        assert (response.type_url, [r.name for r in response.resources]) == (kind, [f"{front}#a"])
        envoy.accept(response)
    assert talk.complete("@https", goal)
