"""A component's health check as one that Envoy makes by itself.

Fields: https://www.envoyproxy.io/docs/envoy/v1.40.0/api-v3/config/core/v3/health_check.proto
"""

from datetime import timedelta
from pathlib import Path
from typing import Any

from envoy.config.core.v3.health_check_pb2 import HealthCheck as ActiveCheck
from envoy.extensions.health_check.event_sinks.file.v3.file_pb2 import HealthCheckEventFileSink

from iarnet.gateway.packing import extension
from iarnet.models.component import HealthCheck

BACK_WITHIN_S = 0.25
"""For an endpoint that did not answer and does so again."""

_JITTER_PERCENT = 10
_ANY = 600
_AS_OUR_PROBE = [
    {"header": {"key": key, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
    for key, value in (("user-agent", "iarnet"), ("accept", "*/*"))
]


def active_check(check: HealthCheck, journal: Path | None) -> Any:
    """Of a check by HTTP, gRPC or TCP. Changes of what it finds are written to `journal`.

    As `iarnet/providers/probe.py` asks: what was ready for the one must be for the other. What does not answer is
    asked again so soon that `retries` tries which take their whole time are over in about as many intervals.
    """
    interval = timedelta(seconds=check.interval_s)
    again = timedelta(seconds=max(check.interval_s - check.timeout_s, check.interval_s / 2))
    return ActiveCheck(
        timeout=timedelta(seconds=check.timeout_s),
        interval=interval,
        # By default, what has no traffic is asked once a minute.
        no_traffic_healthy_interval=interval,
        no_traffic_interval=again,
        unhealthy_edge_interval=again,
        unhealthy_interval=min(again, timedelta(seconds=BACK_WITHIN_S)),
        interval_jitter_percent=_JITTER_PERCENT,
        unhealthy_threshold={"value": check.retries},
        healthy_threshold={"value": 1},
        # One that serves one connection at a time must not be kept busy by ours.
        reuse_connection={"value": False},
        event_logger=[_written_to(journal)] if journal else [],
        **_asking(check),
    )


def _asking(check: HealthCheck) -> dict[str, Any]:
    if check.type == "grpc":
        return {"grpc_health_check": {"service_name": check.service or ""}}
    return {"http_health_check": _http(check)} if check.type == "http" else {"tcp_health_check": {}}


def _http(check: HealthCheck) -> dict[str, Any]:
    return {
        "path": check.path,
        "expected_statuses": [{"start": 200, "end": check.good_below}],
        # One of these is a failure like any other. By default it would be the end at once.
        "retriable_statuses": [{"start": check.good_below, "end": _ANY}],
        "request_headers_to_add": _AS_OUR_PROBE,
    }


def _written_to(journal: Path) -> dict[str, Any]:
    name = "envoy.health_check.event_sink.file"
    return extension(name, HealthCheckEventFileSink(event_log_path=str(journal)))
