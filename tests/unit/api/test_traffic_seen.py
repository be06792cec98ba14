"""What goes through an application: in its status, and for Prometheus."""

import re
from typing import Any

import httpx
import pytest

from api.exposition import exposition
from api.services import Services
from iarnet.errors import GatewayUnavailable
from iarnet.models.traffic import RecentTraffic, ServiceTraffic
from tests.unit.api.recording import RecordingGateway

RECENT = RecentTraffic(
    over_s=50, requests_per_s=12.5, error_share=0.004, mean_s=0.0082, p50_s=0.005, p95_s=0.02, p99_s=0.05
)
WEB = ServiceTraffic(
    app="shop",
    component="web",
    requests={"2xx": 1_234_567_890_123, "5xx": 3},
    errors_total=3,
    received_bytes=10,
    sent_bytes=20,
    connections=2,
    connections_total=7,
    durations={0.001: 1, 60.0: 3},
    durations_total=4,
    durations_s=0.25,
    recent=RECENT,
)
DB = ServiceTraffic(
    app="shop", component="db", requests={"tcp": 4}, recent=RecentTraffic(over_s=50, requests_per_s=1)
)
NEW = ServiceTraffic(app="shop", component="web", route="new", requests={"2xx": 1}, recent=RECENT)


@pytest.fixture
def gateway(shop: Services) -> RecordingGateway:
    assert isinstance(shop.gateway, RecordingGateway)
    shop.gateway.counted = [WEB, DB, NEW, WEB.model_copy(update={"app": "other"})]
    return shop.gateway


async def got(client: httpx.AsyncClient, path: str) -> Any:
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_components_tell_theirs_and_the_app_that_of_what_is_published(
    client: httpx.AsyncClient, gateway: RecordingGateway
) -> None:
    found = await got(client, "/api/v1/apps/shop")
    assert {c["name"]: c["traffic"] for c in found["components"]} == {
        "web": RECENT.model_dump(),
        "db": DB.recent and DB.recent.model_dump(),
    }
    assert found["traffic"] == {"requests_per_s": 12.5, "mean_s": 0.0082, "error_share": 0.004}
    assert (await got(client, "/api/v1/apps"))["apps"] == [found]
    assert (await got(client, "/api/v1/apps/shop/components"))["components"] == found["components"]


async def test_the_documented_status_has_milliseconds_and_percent(
    client: httpx.AsyncClient, gateway: RecordingGateway
) -> None:
    found = await got(client, "/application/apps/shop")
    assert found["metrics"] == {"requestsPerSecond": 12.5, "responseTime": 8.2, "errorRate": 0.4}


async def test_what_is_not_known_is_null(client: httpx.AsyncClient, gateway: RecordingGateway) -> None:
    quiet = RecentTraffic(over_s=50, requests_per_s=0)
    gateway.counted = [WEB.model_copy(update={"recent": quiet})]
    nothing = {"responseTime": None, "errorRate": None}
    assert (await got(client, "/application/apps/shop"))["metrics"] == {"requestsPerSecond": 0} | nothing
    for gateway.counted in ([WEB.model_copy(update={"recent": None})], []):
        assert (await got(client, "/application/apps/shop"))["metrics"] == {"requestsPerSecond": None} | nothing
        assert (await got(client, "/api/v1/apps/shop"))["traffic"] is None


async def test_an_app_can_be_looked_at_while_the_gateway_does_not_answer(
    client: httpx.AsyncClient, gateway: RecordingGateway
) -> None:
    gateway.down = GatewayUnavailable("it is being started")
    assert (await got(client, "/api/v1/apps/shop"))["traffic"] is None
    assert (await client.get("/metrics")).text.splitlines()[-1] == "iarnet_gateway_up 0"


async def test_prometheus_gets_everything_with_the_token_only(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, gateway: RecordingGateway
) -> None:
    assert (await stranger.get("/metrics")).status_code == 401
    answer = await client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.text == exposition(gateway.counted, up=True)


def test_the_text_is_what_prometheus_expects() -> None:
    text = exposition([WEB, DB, NEW], up=True)
    assert text.endswith("\n")
    lines = text.splitlines()
    of_web = 'app="shop",component="web"'
    for line in (
        "iarnet_gateway_up 1",
        f'iarnet_requests_total{{{of_web},code_class="2xx"}} 1234567890123',
        'iarnet_requests_total{app="shop",component="db",code_class="tcp"} 4',
        f"iarnet_errors_total{{{of_web}}} 3",
        f'iarnet_request_duration_seconds_bucket{{{of_web},le="0.001"}} 1',
        f'iarnet_request_duration_seconds_bucket{{{of_web},le="+Inf"}} 4',
        f"iarnet_request_duration_seconds_sum{{{of_web}}} 0.25",
        f"iarnet_request_duration_seconds_count{{{of_web}}} 4",
        f"iarnet_open_connections{{{of_web}}} 2",
        f'iarnet_route_requests_total{{{of_web},route="new",code_class="2xx"}} 1',
    ):
        assert line in lines
    assert "iarnet_route_open_connections" not in text, "what is not known is not told"
    assert 'duration_seconds_bucket{app="shop",component="db"' not in text
    families = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(families) == len(set(families)), "the samples of a family stand together"
    for line in lines:
        family = re.sub(r"(_bucket|_sum|_count)?(\{.*)? .*", "", line)
        assert line.startswith("# ") or family in families, line
