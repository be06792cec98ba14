"""The error that a command or a deployment ends with."""

import json
from typing import Any

from tests.e2e.harness import Done, NodeProcess


def refused(running: NodeProcess, *words: str, code: str, status: int) -> dict[str, Any]:
    """Of a command: it has the code, a message and a next step, and the exit status that scripts rely on."""
    return refusal(running.cli("--json", *words), code, status)


def refusal(done: Done, code: str, status: int) -> dict[str, Any]:
    error: dict[str, Any] = json.loads(done.err.strip().splitlines()[-1])["error"]
    assert (error["code"], done.code) == (code, status), error
    assert error["message"], error
    assert error["hint"], error
    return error


def failure(running: NodeProcess, app: str, **body: Any) -> dict[str, Any]:
    """Of a deployment that was asked for over the API."""
    progress = running.finished(running.api("POST", f"/api/v1/apps/{app}/deploy", body or None))
    assert progress["status"] == "failed"
    failure: dict[str, Any] = progress["failure"]
    assert failure["hint"], failure
    return failure
