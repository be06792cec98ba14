"""Where routes lead while not all is there that they name."""

from typing import Any

import pytest

from iarnet.models.traffic import Backend, Endpoint, EndpointState, Route, ServedPort
from iarnet.planning.leading import Lead, Leading

WEB = ServedPort(component="web", port=80)
API = ServedPort(component="api", port=8080)
DB = ServedPort(component="db", port=5432, protocol="tcp")


def endpoint(component: str, revision: int | None = 1, state: EndpointState = "active") -> Endpoint:
    known = {"app": "shop", "provider_id": "p", "address": "10.210.8.2"}
    return Endpoint(**known, component=component, instance=f"{component}-{revision}", revision=revision, state=state)


def route(*to: Backend, **more: Any) -> Route:
    return Route(**{"id": "r", "app": "shop", "component": "web", "to": to} | more)


def lead(route: Route, *there: ServedPort | Endpoint) -> Lead[ServedPort]:
    endpoints = [x for x in there if isinstance(x, Endpoint)]
    return Leading([x for x in there if isinstance(x, ServedPort)], endpoints).lead(route)


def shares(found: Lead[ServedPort]) -> dict[tuple[str, int | None], int]:
    return {(port.component, backend.revision): backend.weight for port, backend in found.to}


def test_all_that_is_there_takes_part() -> None:
    both = (Backend(component="web", weight=9), Backend(component="api", revision=2, weight=1))
    found = lead(route(*both, mirror="api"), WEB, API, endpoint("web"), endpoint("api", 2))
    assert (found.at, found.mirror, found.notes) == (WEB, API, ())
    assert shares(found) == {("web", None): 9, ("api", 2): 1}


@pytest.mark.parametrize(
    ("gone", "told"),
    [
        (Backend(component="api", revision=3), "api@r3"),
        (Backend(component="api", revision=2), "api@r2"),
        (Backend(component="api", port=81), "api:81"),
        (Backend(component="db"), "db"),
        (Backend(component="old"), "old"),
    ],
)
def test_others_take_the_share_of_what_is_gone(gone: Backend, told: str) -> None:
    there = (WEB, API, DB, endpoint("web"), endpoint("api", 1), endpoint("api", 2, "suspended"), endpoint("db"))
    found = lead(route(Backend(component="web"), gone), *there)
    assert shares(found) == {("web", None): 100}
    assert found.notes == (f"nobody takes HTTP requests to {told}: the others take its share",)
    alone = lead(route(gone), *there)
    assert (alone.at, alone.to) == (WEB, ())
    assert alone.notes == (f"nobody takes HTTP requests to {told}: requests go to web, as if there were no route",)


def test_who_has_no_share_takes_none_over() -> None:
    rest = Backend(component="web", weight=0)
    found = lead(route(rest, Backend(component="api", revision=2)), WEB, API, endpoint("web"))
    assert found.to == ()
    assert len(found.notes) == 1
    assert lead(route(rest), WEB, endpoint("web")).notes == (
        "every weight is 0: requests go to web, as if there were no route",
    )
    without = lead(route(Backend(component="web"), Backend(component="api", weight=0)), WEB, endpoint("web"))
    assert (shares(without), without.notes) == ({("web", None): 100}, ())


@pytest.mark.parametrize(
    ("state", "stays"), [("active", True), ("suspended", True), ("held", True), ("draining", False)]
)
def test_a_component_that_is_mended_or_replaced_keeps_its_share(state: EndpointState, stays: bool) -> None:
    found = lead(route(Backend(component="web"), Backend(component="api")), WEB, API, endpoint("api", 1, state))
    assert (("api", None) in shares(found)) is stays
    assert ("web", None) in shares(found), "there is nobody better"


def test_of_what_is_not_served_nothing_is_led() -> None:
    found = lead(route(Backend(component="web")), API)
    assert (found.at, found.to) == (None, ())
    assert found.notes == ("web is not served with HTTP: nothing comes this way",)


def test_what_is_gone_gets_no_copies() -> None:
    found = lead(route(Backend(component="web"), mirror="audit"), WEB, endpoint("web"))
    assert (found.mirror, shares(found)) == (None, {("web", None): 100})
    assert found.notes == ("audit is not served with HTTP: it gets no copies",)


def test_before_anything_runs_everything_served_counts() -> None:
    both = route(Backend(component="api", revision=7), Backend(component="old"))
    found = Leading([WEB, API]).lead(both)
    assert [backend.component for _, backend in found.to] == ["api"]
    assert found.notes == ("nobody takes HTTP requests to old: the others take its share",)
