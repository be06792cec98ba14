"""A component's check as Envoy's own."""

from datetime import timedelta
from pathlib import Path

import pytest
from envoy.extensions.health_check.event_sinks.file.v3.file_pb2 import HealthCheckEventFileSink
from envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions

from iarnet.gateway.checks import BACK_WITHIN_S, active_check
from iarnet.gateway.resources import CLUSTER, ENDPOINTS, resources
from iarnet.models.component import HealthCheck
from tests.unit.gateway.instances import endpoint, service

JOURNAL = Path("/gateway/health.log")


def seconds(duration: object) -> float:
    given = duration.ToTimedelta()  # type: ignore[attr-defined]
    assert isinstance(given, timedelta)
    return given.total_seconds()


@pytest.mark.parametrize(
    ("interval_s", "timeout_s", "again_s"), [(10, 5, 5), (10, 1, 9), (1, 1, 0.5), (2, 30, 1), (0.2, 0.1, 0.1)]
)
def test_it_keeps_the_times_of_the_component(interval_s: float, timeout_s: float, again_s: float) -> None:
    given = HealthCheck(type="tcp", interval_s=interval_s, timeout_s=timeout_s, retries=4)
    made = active_check(given, JOURNAL)
    assert (made.unhealthy_threshold.value, made.healthy_threshold.value) == (4, 1)
    assert seconds(made.timeout) == timeout_s
    assert seconds(made.interval) == seconds(made.no_traffic_healthy_interval) == interval_s
    assert seconds(made.unhealthy_edge_interval) == seconds(made.no_traffic_interval) == pytest.approx(again_s)
    assert seconds(made.unhealthy_interval) == pytest.approx(min(again_s, BACK_WITHIN_S))
    assert made.HasField("tcp_health_check")


@pytest.mark.parametrize(("path", "limit"), [("/", 500), ("/health", 400)])
def test_the_same_answers_are_good_as_for_our_own_probe(path: str, limit: int) -> None:
    made = active_check(HealthCheck(type="http", path=path), JOURNAL).http_health_check
    assert made.path == path
    assert [(r.start, r.end) for r in made.expected_statuses] == [(200, limit)]
    assert [(r.start, r.end) for r in made.retriable_statuses] == [(limit, 600)]


@pytest.mark.parametrize("protocol", ["grpc", "http", "tcp"])
def test_a_check_by_grpc_needs_instances_that_speak_http_2(protocol: str) -> None:
    def versions(check: HealthCheck) -> str:
        found = resources([service("api", 80, protocol, health=check)], [], [], publish_address="0.0.0.0")
        options = HttpProtocolOptions()
        for packed in found[CLUSTER]["shop/api/80/tcp"].typed_extension_protocol_options.values():
            packed.Unpack(options)
        return str(options.WhichOneof("upstream_protocol_options") or "")

    assert versions(HealthCheck(type="grpc")) == "explicit_http_config"
    assert versions(HealthCheck()) == ("use_downstream_protocol_config" if protocol != "tcp" else "")
    made = active_check(HealthCheck(type="grpc", service="shop.Api"), JOURNAL)
    assert made.grpc_health_check.service_name == "shop.Api"


def test_changes_are_written_to_the_journal() -> None:
    (logger,) = active_check(HealthCheck(), JOURNAL).event_logger
    sink = HealthCheckEventFileSink()
    assert logger.typed_config.Unpack(sink)
    assert sink.event_log_path == str(JOURNAL)


def test_only_what_is_asked_about_is_checked_and_only_while_it_may_get_requests() -> None:
    states = ("active", "draining", "held", "suspended")
    found = resources(
        [service("api", 80, health=HealthCheck()), service("api", 81)],
        [endpoint(address=f"127.0.1.{n}", state=state) for n, state in enumerate(states)],
        [],
        publish_address="0.0.0.0",
        journal=JOURNAL,
    )
    assert [len(found[CLUSTER][f"shop/api/{port}/tcp"].health_checks) for port in (80, 81)] == [1, 0]
    groups = found[ENDPOINTS]["shop/api/80/tcp"].endpoints
    checks = [[host.endpoint.health_check_config for host in group.lb_endpoints] for group in groups]
    assert [check.disable_active_health_check for check in checks[0]] == [False, False, False, True]
    assert [check.hostname for check in checks[0][:3]] == [f"127.0.1.{n}:80" for n in range(3)]
    assert {check.disable_active_health_check for check in checks[1]} == {True}
