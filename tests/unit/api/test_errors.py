import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest
import structlog
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError, RetryState
from temporalio.service import RPCError, RPCStatusCode

from api.errors import understood
from iarnet.errors import BuildFailed

JSON = {"Content-Type": "application/json"}


async def refused(answer: httpx.Response, status: int, code: str) -> dict[str, object]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, object] = answer.json()
    assert problem["code"] == code
    assert problem["type"] == f"urn:iarnet:error:{code}"
    assert problem["status"] == status
    return problem


async def test_unknown_paths_and_methods_are_problems(client: httpx.AsyncClient) -> None:
    await refused(await client.get("/nothing/here"), 404, "NotFound")
    await refused(await client.get("/api/v1/apps/"), 404, "NotFound")
    await refused(await client.put("/api/v1/node"), 405, "MethodNotAllowed")
    await refused(await client.get("/api/v1/apps/absent"), 404, "NotFound")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"\xff\xfe",
        b'{"url": 5}',
        b'{"url": "\\ud800"}',
        b'{"url": "a", "extra": 1}',
        b'{"url": "https://h/r", "name": "' + b"x" * 500 + b'"}',
        b'{"url": "https://h/r", "title": "a\\u0000b"}',
        b"[" * 20_000,
        b'{"url": ' + b"9" * 5000 + b"}",
    ],
)
async def test_a_malformed_body_is_invalid_input(client: httpx.AsyncClient, body: bytes) -> None:
    problem = await refused(await client.post("/api/v1/apps", content=body, headers=JSON), 400, "InvalidInput")
    assert problem["detail"]


async def test_a_body_must_say_that_it_is_json(client: httpx.AsyncClient) -> None:
    """Else a foreign page could send one without asking first."""
    body = b'{"url": "https://example.com/r.git"}'
    answer = await client.post("/api/v1/apps", content=body, headers={"Content-Type": "text/plain"})
    await refused(answer, 400, "InvalidInput")


async def test_the_field_is_named_and_its_value_is_not_repeated(client: httpx.AsyncClient) -> None:
    answer = await client.put("/api/v1/secrets/credentials/x", json={"value": ["hunter2"], "hunter3": 1})
    problem = await refused(answer, 400, "InvalidInput")
    assert problem["where"] == "body.value"
    assert "hunter2" not in answer.text


@pytest.mark.parametrize("name", ["%00", "UPPER", "a" * 41, "a%2Fb", "-a", "a.b", "%F0%9F%92%A9"])
async def test_a_name_that_can_not_be_is_refused(client: httpx.AsyncClient, name: str) -> None:
    assert (await client.get(f"/api/v1/apps/{name}")).status_code in (400, 404)
    assert (await client.post(f"/api/v1/apps/{name}/stop")).status_code in (400, 404)


@pytest.mark.parametrize("query", ["after=-1", "after=x", f"after={2**63}", "limit=0", "limit=", "follow=perhaps"])
async def test_a_malformed_query_is_invalid_input(client: httpx.AsyncClient, query: str) -> None:
    problem = await refused(await client.get(f"/api/v1/apps/shop/events?{query}"), 400, "InvalidInput")
    assert str(problem["where"]).startswith("query.")


async def test_a_body_that_says_it_is_too_large_is_refused_unread(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/v1/apps", content=b"x" * (1024 * 1024 + 1), headers=JSON)
    await refused(answer, 413, "PayloadTooLarge")


async def test_a_body_that_grows_too_large_is_refused(client: httpx.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 65_536
            await asyncio.sleep(0)

    answer = await client.post("/api/v1/apps", content=chunks(), headers=JSON)
    await refused(answer, 413, "PayloadTooLarge")


async def test_what_nobody_foresaw_is_an_incident_with_a_number(broken: httpx.AsyncClient) -> None:
    with structlog.testing.capture_logs() as lines:
        problem = await refused(await broken.get("/api/v1/apps"), 500, "Incident")
    logged = next(line for line in lines if line["event"] == "incident")
    assert logged["incident"] == problem["where"]
    assert "KeyError" in logged["trace"]
    assert "KeyError" not in json.dumps(problem)


async def test_no_line_of_the_log_holds_the_token(stranger: httpx.AsyncClient) -> None:
    with structlog.testing.capture_logs() as lines:
        await stranger.get("/api/v1/node", params={"token": "correct-horse"})
    request = next(line for line in lines if line["event"] == "request")
    assert (request["path"], request["status"]) == ("/api/v1/node", 200)
    assert "correct-horse" not in str(lines)


async def test_each_answer_has_a_request_id(client: httpx.AsyncClient, stranger: httpx.AsyncClient) -> None:
    answers = [await client.get("/api/v1/node"), await client.get("/x"), await stranger.get("/x")]
    assert len({answer.headers["x-request-id"] for answer in answers}) == 3


async def test_without_temporal_starting_is_missing_and_reading_works(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/v1/apps", json={"url": "https://example.com/shop.git"})
    problem = await refused(answer, 503, "Missing")
    assert problem["where"] == "temporal"
    assert "iarnet doctor" in str(problem["hint"])
    created = await client.get("/api/v1/apps/shop")
    assert created.status_code == 200, "the intent is there; a sweep starts its import"


def test_a_failed_workflow_tells_our_own_error() -> None:
    ours = BuildFailed("no such file", where="Dockerfile:3", hint="add it", component="web", log=("a", "b"))
    failed = ApplicationError(ours.message, ours.details(), type=ours.code)
    error = understood(_wrapped(failed))
    assert error.details() == ours.details()


@pytest.mark.parametrize(
    ("cause", "code"),
    [
        (CancelledError("cancelled"), "Cancelled"),
        (ApplicationError("no", type="NoRoom"), "NoRoom"),
        (ApplicationError("no", type="ValueError"), "IarnetError"),
    ],
)
def test_other_ends_of_a_workflow_are_understood(cause: BaseException, code: str) -> None:
    assert understood(_wrapped(cause)).code == code


@pytest.mark.parametrize(
    ("status", "message", "code"),
    [
        (RPCStatusCode.UNAVAILABLE, "connection refused", "Missing"),
        (RPCStatusCode.DEADLINE_EXCEEDED, "timeout", "Missing"),
        (RPCStatusCode.NOT_FOUND, "workflow not found", "NotFound"),
        (RPCStatusCode.INVALID_ARGUMENT, "search attribute IarnetApp is not defined", "Missing"),
        (RPCStatusCode.INTERNAL, "shard lost", "Incident"),
    ],
)
def test_what_temporal_answers_is_understood(status: RPCStatusCode, message: str, code: str) -> None:
    assert understood(RPCError(message, status, b"")).code == code


def _wrapped(cause: BaseException) -> WorkflowFailureError:
    activity = ActivityError(
        "activity failed",
        scheduled_event_id=1,
        started_event_id=2,
        identity="",
        activity_type="deploy",
        activity_id="1",
        retry_state=RetryState.NON_RETRYABLE_FAILURE,
    )
    activity.__cause__ = cause
    return WorkflowFailureError(cause=activity)
