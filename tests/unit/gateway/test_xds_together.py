"""Responses to several apps that travel as one."""

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DeltaDiscoveryResponse

from iarnet.gateway.delta import Answer, Conversation, Items, items
from iarnet.gateway.outbox import Outbox
from iarnet.gateway.resources import CLUSTER, LISTENER

APPS = ("blog", "shop")


def wanted(app: str) -> Items:
    return items({CLUSTER: {f"{app}/api": Cluster(name=f"{app}/api")}})


def begun() -> Conversation:
    talk = Conversation()
    for kind in (CLUSTER, LISTENER):
        talk.hear(DeltaDiscoveryRequest(type_url=kind))
    return talk


def due(talk: Conversation, app: str) -> DeltaDiscoveryResponse:
    response = talk.next(app, wanted(app))
    assert response is not None
    return response


async def sent(talk: Conversation, *apps: str) -> list[DeltaDiscoveryResponse | None]:
    """What goes out when these are due at the same time."""
    outbox = Outbox(talk)
    for app in apps:
        outbox.put(due(talk, app))
    outbox.put(None)
    found = [await outbox.get()]
    while found[-1] is not None:
        found.append(await outbox.get())
    return found[:-1]


def answer(talk: Conversation, response: DeltaDiscoveryResponse | None, *, refusal: str = "") -> Answer:
    assert response is not None
    request = DeltaDiscoveryRequest(type_url=response.type_url, response_nonce=response.nonce)
    if refusal:
        request.error_detail.message = refusal
    return talk.hear(request)


async def test_what_waits_goes_out_together_and_is_accepted_together() -> None:
    talk = begun()
    (response,) = await sent(talk, *APPS)
    assert response is not None
    assert [r.name for r in response.resources] == ["blog/api", "shop/api"]
    assert answer(talk, response) == Answer(set(APPS))
    for app in APPS:
        assert talk.next(app, wanted(app)) is None


async def test_what_is_refused_together_comes_again_alone() -> None:
    talk = begun()
    (response,) = await sent(talk, *APPS)
    assert answer(talk, response, refusal="no") == Answer(set(APPS))
    blog, shop = await sent(talk, *APPS)
    refused = answer(talk, shop, refusal="not that one")
    assert refused.refused is not None
    assert (refused.refused.app, refused.reason) == ("shop", "not that one")
    assert answer(talk, blog).refused is None


async def test_after_that_they_go_together_again() -> None:
    talk = begun()
    (response,) = await sent(talk, *APPS)
    answer(talk, response, refusal="no")
    for alone in await sent(talk, *APPS):
        answer(talk, alone, refusal="still no")
    assert len(await sent(talk, *APPS)) == 1


async def test_different_types_stay_apart() -> None:
    talk = begun()
    outbox = Outbox(talk)
    outbox.put(talk.empty(LISTENER))
    outbox.put(due(talk, "shop"))
    assert [(await outbox.get()).type_url for _ in range(2)] == [LISTENER, CLUSTER]  # type: ignore[union-attr]
