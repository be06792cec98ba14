"""What can be said without a workflow. With one: tests/unit/cli, tests/e2e."""

from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.usefixtures("shop")
PATH = "/api/v1/reconciliation"


@pytest.mark.parametrize("how", [{"method": "GET", "params": {"provider": "far"}}, {"method": "POST"}])
async def test_a_provider_that_does_not_answer_is_said_to(client: httpx.AsyncClient, how: dict[str, Any]) -> None:
    body = {"json": {"provider_id": "far"}} if how["method"] == "POST" else {}
    answer = await client.request(url=PATH, **how, **body)
    assert answer.status_code == 200, answer.text
    [report] = answer.json()["providers"]
    assert (report["provider_id"], report["findings"], report["problem"]) == ("far", [], "it does not answer")


async def test_one_that_there_is_not(client: httpx.AsyncClient) -> None:
    answer = await client.get(PATH, params={"provider": "nowhere"})
    assert (answer.status_code, answer.json()["code"]) == (404, "NotFound")


async def test_without_temporal_nothing_is_said_to_be_well(client: httpx.AsyncClient) -> None:
    answer = await client.post(PATH)
    assert (answer.status_code, answer.json()["where"]) == (503, "temporal")
