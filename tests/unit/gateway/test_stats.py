"""Envoy's counters as traffic. What a real Envoy counts: tests/integration/test_gateway_traffic_seen.py."""

import re
from collections import Counter

import pytest

from iarnet.gateway.stats import Counts, Window, counted, kept, pattern, told
from iarnet.models.traffic import RecentTraffic
from tests.unit.gateway.instances import service

API = ("shop", "api", "")
STATS = """\
cluster.shop/api/8080/tcp.upstream_cx_active: 2
cluster.shop/api/8080/tcp.upstream_cx_none_healthy: 9
cluster.shop/api/8080/tcp.upstream_rq_2xx: 5
cluster.shop/api/8080/tcp@r2.upstream_rq_2xx: 3
cluster.shop/api/8081/tcp.upstream_rq_5xx: 2
cluster.shop/db/5432/tcp.upstream_cx_connect_attempts_exceeded: 1
cluster.shop/db/5432/tcp.upstream_rq_total: 4
cluster.gone/api/8080/tcp.upstream_rq_2xx: 7
cluster.ads.upstream_rq_2xx: 7
vhost.shop/api.route.new.upstream_rq_4xx: 1
cluster.shop/api/8080/tcp.upstream_rq_time:
  totals=0,0:2, 9,0.1:1, 17,1:1
  intervals=0,0:2
  summary=P0(nan,0)
cluster.shop/api/8080/tcp@r2.upstream_rq_time:
  totals=17,1:4, 1.2e+03,100:2
  intervals=
  summary=P0(nan,0)
"""
SERVICES = [service(port=8080), service(port=8081), service("db", 5432, "tcp")]


def of(*bins: tuple[float, float, int], **counts: int) -> Counts:
    return Counts(Counter(counts), Counter({(start, end): count for start, end, count in bins}))


def recent(after: Counts, before: Counts | None = None, over_s: float = 10) -> RecentTraffic:
    window = Window()
    window.keep(0, {API: before} if before else {})
    found = window.recent(over_s, API, after)
    assert found
    return found


def test_ports_and_revisions_of_a_component_count_together_and_routes_apart() -> None:
    found = {key: told(key, counts, None) for key, counts in counted(STATS, SERVICES).items()}
    assert found.keys() == {API, ("shop", "db", ""), ("shop", "api", "new")}
    api, db, new = found[API], found["shop", "db", ""], found["shop", "api", "new"]
    assert (api.requests, api.errors_total, api.connections) == ({"2xx": 8, "5xx": 2}, 2, 2)
    assert (db.requests, db.errors_total) == ({"tcp": 5}, 1)
    assert (new.requests, new.errors_total, new.sent_bytes) == ({"4xx": 1}, 0, None)


def test_durations_are_told_as_shares_that_took_less() -> None:
    api = told(API, counted(STATS, SERVICES)[API], None)
    wanted = {0.001: 2, 0.005: 2, 0.01: 3, 0.025: 8, 1: 8, 2.5: 10, 60: 10}
    assert {bound: api.durations[bound] for bound in wanted} == wanted
    assert api.durations_total == 10
    assert api.durations_s == pytest.approx((2 * 0.5 + 9.5 + 5 * 17.5 + 2 * 1250) / 1000)


def test_what_envoy_is_asked_for_is_what_is_understood() -> None:
    names = [line.split(":")[0] for line in STATS.splitlines() if not line.startswith(" ")]
    of_apps = [name for name in names if not name.startswith("cluster.ads")]
    assert [name for name in names if re.fullmatch(pattern(), name)] == of_apps
    assert [name for name in names if re.fullmatch(pattern("gone"), name)] == [of_apps[-4]]
    assert not re.fullmatch(pattern(), "cluster.shop/api/8080/tcp.external.upstream_rq_time")


def test_what_a_cluster_keeps_is_what_is_understood() -> None:
    api, db, calls = (set(kept(f"shop/api/{n}/tcp", p)) for n, p in ((80, "http"), (5432, "tcp"), (50051, "grpc")))
    assert all(re.fullmatch(pattern("shop"), name) for name in api | db | calls)
    assert {"cluster.shop/api/80/tcp.upstream_rq_5xx", "cluster.shop/api/80/tcp.upstream_rq_time"} <= api
    assert "cluster.shop/api/5432/tcp.upstream_cx_none_healthy" in db
    assert "cluster.shop/api/50051/tcp.grpc.14" in calls


def test_rates_are_of_what_was_added() -> None:
    before, after = of((1, 2, 50), **{"2xx": 100, "5xx": 3, "errors": 3}), {"2xx": 190, "5xx": 13, "errors": 13}
    found = recent(of((1, 2, 50), (10, 11, 100), **after), before)
    assert (found.over_s, found.requests_per_s, found.error_share) == (10, 10, 0.1)
    assert (found.mean_s, found.p50_s, found.p99_s) == pytest.approx((0.0105, 0.0105, 0.01099))


def test_an_envoy_that_has_begun_anew_counts_from_0() -> None:
    found = recent(of((5, 6, 20), **{"2xx": 20}), of((1, 2, 500), **{"2xx": 500}))
    assert (found.requests_per_s, found.p50_s) == (2, 0.0055)


def test_quantiles_are_found_in_the_bin_that_they_fall_into() -> None:
    found = recent(of((10, 11, 90), (100, 1100, 10), **{"2xx": 100}))
    assert (found.p50_s, found.p95_s, found.p99_s) == pytest.approx((0.0105556, 0.6, 1.0), rel=0.0001)
    assert found.mean_s == pytest.approx(0.06945)


def test_nothing_is_said_of_what_was_not_seen() -> None:
    assert Window().recent(10, API, of(**{"2xx": 5})) is None
    window = Window()
    window.keep(0, {})
    assert window.recent(1, API, of(**{"2xx": 5})) is None, "too short to tell"
    quiet = recent(of((1, 2, 9), **{"2xx": 5}), of(**{"2xx": 5}))
    assert (quiet.requests_per_s, quiet.error_share, quiet.mean_s, quiet.p50_s) == (0, None, None, None)


def test_the_window_is_of_the_last_samples() -> None:
    window = Window()
    for second in range(0, 150, 15):
        window.keep(second, {API: of(**{"2xx": second})})
    found = window.recent(140, API, of(**{"2xx": 140}))
    assert found
    assert (found.over_s, found.requests_per_s) == (50, 1)
