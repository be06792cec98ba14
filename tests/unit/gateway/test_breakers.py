"""What Envoy's counters say of limits."""

import re

from iarnet.gateway.breakers import breakers, kept, pattern
from iarnet.models.component import Limits
from iarnet.models.traffic import Breaker
from tests.unit.gateway.instances import service

API = service("api", 80, limits=Limits(requests=2))
WEB = service("web", 80)
STATS = """\
cluster.shop/api/80/tcp.circuit_breakers.default.cx_open: 0
cluster.shop/api/80/tcp.circuit_breakers.default.rq_open: 1
cluster.shop/api/80/tcp@r2.circuit_breakers.default.rq_pending_open: 1
cluster.shop/api/80/tcp.upstream_cx_overflow: 9
cluster.shop/api/80/tcp.upstream_rq_active_overflow: 1
cluster.shop/api/80/tcp@r2.upstream_rq_pending_overflow: 4
cluster.shop/db/5432/tcp.upstream_cx_overflow: 2
cluster.shop/web/80/tcp.upstream_rq_pending_overflow: 4
"""


def test_all_revisions_of_what_has_limits_count_together() -> None:
    told = Breaker(service=API.name, full=("pending", "requests"), refused_total=5)
    assert breakers(STATS, [API, WEB]) == [told]
    database = service("db", 5432, "tcp", limits=Limits(connections=2))
    assert breakers(STATS, [database]) == [Breaker(service=database.name, refused_total=2)]
    assert breakers("", [API]) == [Breaker(service=API.name)]
    assert breakers(STATS, [WEB]) == []


def test_only_what_is_understood_is_kept() -> None:
    names = [line.partition(":")[0] for line in STATS.splitlines()]
    assert all(re.search(pattern(), name) for name in (*names, *kept("shop/api/80/tcp")))
    assert all(re.search(pattern("shop"), name) for name in names)
    assert not any(re.search(pattern("sho"), name) for name in names)
    assert {name for name in names if name.startswith("cluster.shop/api/80/tcp.")} <= set(kept("shop/api/80/tcp"))
    for other in ("cluster.ads.upstream_cx_overflow", "cluster.shop/api/80/tcp.circuit_breakers.high.rq_open"):
        assert not re.search(pattern(), other)
