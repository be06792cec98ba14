"""What differs between a store and a provider, and what must not be touched whatever differs."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iarnet.models.app import App, AppStatus
from iarnet.models.instance import Instance
from iarnet.models.lease import Lease
from iarnet.models.reconciliation import Belonging, Finding
from iarnet.models.resources import Resources
from iarnet.models.source import GitSource
from iarnet.models.traffic import Endpoint, Service
from iarnet.planning.reconciling import CHANGING, Known, reconciled

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HERE, THERE = "engine", "other"


def app(name: str = "shop", status: AppStatus = "running", *, revision: int = 1, epoch: int = 1) -> App:
    git = GitSource(url="https://example.org/shop")
    fields = {"name": name, "git": git, "status": status, "revision": revision, "epoch": epoch}
    return App(**fields, created_at=NOW, updated_at=NOW)


def instance(component: str = "web", *, app: str = "shop", state: str = "running", **more: Any) -> Instance:
    name = f"iarnet-{app}-{component}-r{more.get('revision', 1)}-0"
    given = {"id": f"id of {name}", "provider_id": HERE, "spec_hash": "one", "epoch": 1}
    return Instance(**(given | {"name": name, "app": app, "component": component, "state": state} | more))


def there(found: Instance, *, astray: bool = False, id: str = "") -> Belonging:
    fields = {"name": found.name, "app": found.app, "component": found.component}
    return Belonging(kind="instance", id=id or found.id, **fields, astray=astray, instance=found)


def network(app: str = "shop", *, astray: bool = False) -> Belonging:
    return Belonging(kind="network", id=f"network of {app}", name=f"iarnet-{app}", app=app, astray=astray)


def volume(app: str = "shop") -> Belonging:
    return Belonging(kind="volume", id=f"volume of {app}", name="db/data", app=app, component="db")


def endpoint(found: Instance, **more: Any) -> Endpoint:
    fields = {"app": found.app, "component": found.component, "instance": found.name, "revision": 1}
    return Endpoint(**(fields | {"provider_id": HERE, "address": "10.0.0.2"} | more))


def service(app: str = "shop", component: str = "web") -> Service:
    return Service(app=app, component=component, port=80, provider_id=HERE, address="10.0.0.1", subnet="10.0.0.0/26")


def lease(found: Instance, **more: Any) -> Lease:
    fields = {"id": found.name, "provider_id": HERE, "app": found.app, "component": found.component}
    state = {"instance": found.name, "resources": Resources(), "state": "active", "epoch": 1}
    return Lease(**(fields | state | more))


def known(*apps: App, before: tuple[App, ...] | None = None, **more: Any) -> Known:
    then = apps if before is None else before
    given = {"provider_id": HERE, "providers": {HERE, THERE}, "active": {HERE}}
    return Known(before={a.name: a for a in then}, apps={a.name: a for a in apps}, **(given | more))


def told(findings: tuple[Finding, ...]) -> list[tuple[str, str, str]]:
    return [(f.action, f.kind, f.name) for f in findings]


WEB = instance()


# Never.


@pytest.mark.parametrize("status", CHANGING)
def test_an_app_that_changes_is_left_alone(status: AppStatus) -> None:
    found = reconciled(known(app(status=status)), [there(WEB), network(), volume()])
    assert told(found) == [("wait", "application", "shop")]


@pytest.mark.parametrize(
    "before", [(), (app(status="deploying"),), (app(epoch=0),)], ids=["is made", "changed", "began and ended"]
)
def test_so_is_one_that_changed_while_its_provider_was_asked(before: tuple[App, ...]) -> None:
    assert told(reconciled(known(app(), before=before), [there(WEB)])) == [("wait", "application", "shop")]


def test_one_that_is_deleted_meanwhile_has_to_wait_for_the_next_time() -> None:
    found = reconciled(known(before=(app(status="deleting"),)), [there(WEB), network()])
    assert told(found) == [("wait", "application", "shop")]


def test_data_is_kept_unless_its_app_is_gone_and_somebody_asks_for_it() -> None:
    assert told(reconciled(known(), [volume()])) == [("keep", "volume", "db/data")]
    assert told(reconciled(known(), [volume()], remove_volumes=True)) == [("remove", "volume", "db/data")]
    for status in ("idle", "running", "stopped", "failed"):
        assert reconciled(known(app(status=status)), [volume()], remove_volumes=True) == ()


def test_what_another_provider_knows_as_its_own_is_not_an_orphan_here() -> None:
    """One engine under two names."""
    row = WEB.model_copy(update={"provider_id": THERE})
    assert reconciled(known(app(), rows=[row]), [there(WEB)]) == ()


def test_what_came_up_of_an_app_that_failed_stays_for_a_retry() -> None:
    never = known(app(status="failed", revision=0), rows=[WEB], services=[service()], endpoints=[endpoint(WEB)])
    assert reconciled(never, [there(WEB), network()]) == ()


def test_a_server_that_a_person_has_added_is_no_instance() -> None:
    assert reconciled(known(app(), endpoints=[endpoint(instance("outside"), revision=None)]), []) == ()


def test_what_is_as_it_should_be_is_not_mentioned() -> None:
    done = instance("migrate", state="exited", exit_code=0)
    everything = known(
        app(),
        rows=[WEB, done],
        jobs=[done.name],
        leases=[lease(WEB), lease(instance("picked"), state="reserved", epoch=0)],
        ports={(20_000, "tcp"): "shop"},
        services=[service()],
        endpoints=[endpoint(WEB)],
    )
    gateway = Belonging(kind="gateway", id="g", name=HERE)
    assert reconciled(everything, [there(WEB), there(done), network(), volume(), gateway]) == ()
    assert reconciled(everything, [there(WEB), network(), volume(), gateway]) == (), "a job that has ended may go"


# What is there and shouldn't be.


def test_of_an_app_that_is_gone_all_goes_but_its_data() -> None:
    found = reconciled(
        known(leases=[lease(WEB)], ports={(53, "udp"): "shop", (53, "tcp"): "shop"}, secrets=["shop"], data=["shop"]),
        [volume(), network(), there(WEB)],
    )
    assert told(found) == [
        ("remove", "instance", WEB.name),
        ("remove", "network", "iarnet-shop"),
        ("keep", "volume", "db/data"),
        ("forget", "lease", WEB.name),
        ("forget", "port", "53/tcp, 53/udp"),
    ]
    assert {f.reason for f in found if f.kind != "volume"} == {"shop is gone"}


def test_secrets_go_once_no_data_needs_them() -> None:
    assert told(reconciled(known(secrets=["shop"], data=[]), [])) == [("forget", "secret", "shop")]
    assert reconciled(known(secrets=["shop"], data=None), []) == (), "as long as that can't be told"


def test_what_nobody_asked_for_goes() -> None:
    stray = there(WEB, astray=True, id="a second one")
    found = reconciled(known(app(), rows=[WEB]), [there(WEB), stray, there(instance("old"))])
    assert told(found) == [("remove", "instance", WEB.name), ("remove", "instance", "iarnet-shop-old-r1-0")]
    assert found[0].id == "a second one"


def test_so_does_what_is_not_what_was_asked_for() -> None:
    other = WEB.model_copy(update={"spec_hash": "two"})
    assert told(reconciled(known(app(), rows=[other]), [there(WEB)])) == [("remove", "instance", WEB.name)]


def test_of_an_app_that_is_stopped_what_runs_is_stopped_and_the_rest_forgotten() -> None:
    gone = instance("db", state="lost")
    found = reconciled(known(app(status="stopped"), rows=[WEB, gone], services=[service()]), [there(WEB)])
    assert told(found) == [
        ("close", "service", "shop"),
        ("stop", "instance", WEB.name),
        ("forget", "instance", gone.name),
    ]


def test_a_network_that_nothing_uses_goes() -> None:
    assert told(reconciled(known(app()), [network()])) == [("remove", "network", "iarnet-shop")]
    astray = network(astray=True)
    assert told(reconciled(known(app(), rows=[WEB]), [there(WEB), astray])) == [("remove", "network", "iarnet-shop")]


def test_a_gateway_of_a_provider_that_is_no_more_goes() -> None:
    assert told(reconciled(known(), [Belonging(kind="gateway", id="g", name="box")])) == [
        ("remove", "gateway", "box")
    ]


# What should be there and isn't, or isn't known.


@pytest.mark.parametrize("status", ["running", "degraded", "failed"])
def test_what_is_lost_is_healed(status: AppStatus) -> None:
    assert told(reconciled(known(app(status=status), rows=[WEB]), [])) == [("heal", "instance", WEB.name)]


def test_of_an_app_that_never_ran_it_is_forgotten() -> None:
    never = app(status="failed", revision=0)
    assert told(reconciled(known(never, rows=[WEB]), [])) == [("forget", "instance", WEB.name)]


@pytest.mark.parametrize("state", ["pending", "lost"])
def test_what_a_row_expects_is_adopted_and_led_to(state: str) -> None:
    row = WEB.model_copy(update={"state": state})
    found = reconciled(known(app(), rows=[row], services=[service()]), [there(WEB)])
    assert sorted(told(found)) == [("admit", "endpoint", WEB.name), ("adopt", "instance", WEB.name)]


def test_two_that_do_the_same_work_become_one() -> None:
    other = WEB.model_copy(update={"provider_id": THERE, "id": "moved"})
    both = known(app(), rows=[WEB, other], active={HERE, THERE})
    assert told(reconciled(both, [there(WEB)])) == [("heal", "instance", WEB.name)]
    lost = known(app(), rows=[WEB, other], active={HERE})
    assert reconciled(lost, [there(WEB)]) == (), "what was left on a provider that is lost can't be helped now"


def test_traffic_to_nobody_is_ended() -> None:
    moved = WEB.model_copy(update={"provider_id": THERE})
    found = reconciled(known(app(), rows=[moved], services=[service()], endpoints=[endpoint(instance("old"))]), [])
    assert told(found) == [("forget", "endpoint", "iarnet-shop-old-r1-0"), ("close", "service", "shop")]


def test_room_of_nobody_is_given_back() -> None:
    held = [lease(WEB), lease(instance("old")), lease(instance("never"), state="reserved")]
    found = reconciled(known(app(), rows=[WEB], leases=held), [there(WEB)])
    assert told(found) == [("forget", "lease", "iarnet-shop-old-r1-0"), ("forget", "lease", "iarnet-shop-never-r1-0")]


# Whatever there is.

NAMES = st.sampled_from(["shop", "blog", "gone"])
STATUSES = st.sampled_from(["idle", "deploying", "running", "degraded", "stopping", "stopped", "failed", "deleting"])
INSTANCES = st.builds(
    lambda name, component, revision, state, provider: instance(
        component, app=name, revision=revision, state=state, provider_id=provider
    ),
    NAMES,
    st.sampled_from(["web", "db"]),
    st.integers(1, 2),
    st.sampled_from(["pending", "running", "exited", "lost"]),
    st.sampled_from([HERE, THERE]),
)
APPS = st.lists(
    st.builds(
        lambda name, status, revision, epoch: app(name, status, revision=revision, epoch=epoch),
        st.sampled_from(["shop", "blog"]),
        STATUSES,
        st.integers(0, 2),
        st.integers(1, 2),
    ),
    max_size=3,
)
BELONGINGS = st.lists(
    st.one_of(st.builds(there, INSTANCES, astray=st.booleans()), st.builds(network, NAMES), st.builds(volume, NAMES)),
    max_size=6,
)


SERVICES = st.lists(st.builds(service, NAMES), max_size=3)


@given(APPS, APPS, st.lists(INSTANCES, max_size=5), SERVICES, BELONGINGS, st.booleans())
def test_whatever_differs(
    before: list[App],
    now: list[App],
    rows: list[Instance],
    services: list[Service],
    belongings: list[Belonging],
    remove_volumes: bool,
) -> None:
    held = {
        "leases": [lease(row) for row in rows],
        "endpoints": [endpoint(row) for row in rows],
        "services": services,
    }
    seen = known(*now, before=tuple(before), rows=rows, active={HERE, THERE}, **held)
    found = reconciled(seen, belongings, remove_volumes=remove_volumes)
    for finding in found:
        waits = finding.action == "wait"
        assert waits is (finding.kind == "application")
        assert waits is not seen.settled(finding.app), "nobody interferes with a change"
        if finding.action == "remove":
            assert finding.id in {b.id for b in belongings}, "nothing is removed that isn't marked as ours"
        if finding.kind == "volume" and finding.action == "remove":
            assert remove_volumes
            assert finding.app not in seen.apps
