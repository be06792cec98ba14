"""Whatever is sent to whatever route, the answer is never "something went wrong here"."""

import json
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.usefixtures("shop")

TEXT = st.text(max_size=40) | st.sampled_from(
    ["\x00", "../..", "%", "${x}", "a" * 300, "-1", "9" * 30, "'; --", "💩"]
)
NAMES = st.sampled_from(["shop", "web", "memory", "shop.1", "change.shop"]) | TEXT.filter(bool)
ATOMS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT
JUNK = st.recursive(ATOMS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4))
FIELDS = [
    *(
        "name",
        "url",
        "git_url",
        "branch",
        "ref",
        "credential",
        "subdir",
        "title",
        "components",
        "component",
        "settings",
    ),
    *(
        "secrets",
        "values",
        "on_failure",
        "fetch",
        "revision",
        "replicas",
        "value",
        "workflow_id",
        "run_id",
        "id",
        "type",
    ),
    *("host", "port", "config", "labels", "limits", "origin"),
    *("app", "to", "hosts", "path", "headers", "cookies", "mirror", "timeout_s", "retries", "weight", "address"),
]
NEARLY = st.dictionaries(st.sampled_from(FIELDS), JUNK | st.dictionaries(NAMES, ATOMS, max_size=3), max_size=6)
BODIES = JUNK.map(json.dumps).map(str.encode) | NEARLY.map(json.dumps).map(str.encode) | st.binary(max_size=60)
QUERIES = st.dictionaries(
    st.sampled_from(["after", "limit", "tail", "component", "keep_data", "app", "within_s", "x"]), TEXT, max_size=3
)
HEADERS = st.sampled_from([{}, {"Last-Event-ID": "x"}, {"Last-Event-ID": "9" * 40}, {"Content-Type": "text/plain"}])


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_no_request_answers_500(app: FastAPI, client: httpx.AsyncClient, data: st.DataObject) -> None:
    routes = sorted((m.upper(), path) for path, methods in app.openapi()["paths"].items() for m in methods)
    method, path = data.draw(st.sampled_from(routes))
    answer = await client.request(
        method,
        _filled(path, data),
        params=data.draw(QUERIES),
        content=data.draw(BODIES),
        headers={"Content-Type": "application/json"} | data.draw(HEADERS),
    )
    if answer.status_code == 503:
        assert _code(answer) in ("Missing", None), answer.text
        return
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["detail"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=TEXT, method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "BREW"]))
async def test_no_path_answers_500(client: httpx.AsyncClient, path: str, method: str) -> None:
    answer = await client.request(method, "/" + quote(path, safe="/"))
    assert answer.status_code < 500


def _filled(path: str, data: st.DataObject) -> str:
    parts = (quote(data.draw(NAMES), safe="") if part.startswith("{") else part for part in path.split("/"))
    return "/".join(parts)


def _code(answer: httpx.Response) -> Any:
    """None for the health route, which is no problem document."""
    return answer.json().get("code")
