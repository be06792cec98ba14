"""A component broken on purpose: red, explained, kept or undone as asked, and repaired without touching the rest."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.engine import left
from tests.e2e.harness import NodeProcess, until
from tests.e2e.repository import Repository, repository

pytestmark = [pytest.mark.e2e, pytest.mark.docker]

GOOD = "httpd -f -p 8080 -h /etc"
BROKEN = "sh -c 'echo reading the ledger; echo the ledger is torn >&2; exit 1'"
SILENT = "sleep 3600"
# `data` and `web` are healthy whatever `api` does; `api` needs `data`, nobody needs `api`.
APP = """
components:
  data:
    kind: cache
    image: busybox:stable
    command: httpd -f -p 6000 -h /etc
    ports: [6000/tcp]
  api:
    kind: api
    image: busybox:stable
    command: {command}
    ports: [8080]
    health: {{path: /hostname, start_period: 2s, interval: 1s}}
    env: {{MODE: plain}}
    needs: [data]
  web:
    kind: web
    image: busybox:stable
    command: httpd -f -p 8081 -h /etc
    ports: [8081]
    publish: true
"""


def made(folder: Path, command: str) -> Repository:
    return repository(folder, iarnet_DOT_yaml=APP.format(command=command))


def recommit(source: Repository, command: str) -> None:
    source.write("iarnet.yaml", APP.format(command=command)).commit()


def newest(running: NodeProcess, app: str) -> dict[str, Any]:
    return dict(running.api("GET", f"/api/v1/apps/{app}/deployments").json()["deployments"][0])


def described(running: NodeProcess, app: str) -> dict[str, Any]:
    return dict(running.temporal("workflow", "describe", "--workflow-id", f"change.{app}", "-o", "json").json)


def last_failure(running: NodeProcess, app: str) -> dict[str, Any]:
    history = running.temporal("workflow", "show", "--workflow-id", f"change.{app}", "-o", "json").json
    return dict(history["events"][-1]["workflowExecutionFailedEventAttributes"]["failure"])


def others(running: NodeProcess, app: str) -> dict[str, set[str]]:
    return {component: ids for component, ids in running.containers(app).items() if component != "api"}


def test_what_ended_is_red_and_explained_and_a_retry_resumes_there(
    running: NodeProcess, repositories: Path, docker_url: str
) -> None:
    source = made(repositories / "torn", BROKEN)
    failed = running.cli("deploy", source.url, "--name", "torn")
    assert failed.code != 0
    assert "api" in failed.err
    assert "exit code 1" in failed.err
    assert "the ledger is torn" in failed.err

    assert described(running, "torn")["workflowExecutionInfo"]["status"] == "WORKFLOW_EXECUTION_STATUS_FAILED"
    failure = last_failure(running, "torn")
    assert failure["applicationFailureInfo"]["type"] == "InstanceExited"
    assert failure["applicationFailureInfo"]["nonRetryable"] is True
    assert failure["message"].startswith("api ended with exit code 1")
    deployment = newest(running, "torn")
    assert (deployment["status"], deployment["failure"]["component"]) == ("failed", "api")
    assert {"reading the ledger", "the ledger is torn"} <= set(deployment["failure"]["log"])
    assert "retry" in deployment["failure"]["hint"]
    rows = {row["component"]: row["phase"] for row in deployment["progress"]["components"]}
    assert rows == {"data": "healthy", "api": "failed", "web": "healthy"}
    status = running.ok("status", "torn").out
    assert "failed" in status
    assert "the ledger is torn" in status

    kept = others(running, "torn")
    assert set(kept) == {"data", "web"}
    assert set(running.containers("torn")) == {"data", "web"}, "what failed is not left half-way"
    assert httpx.get(f"{running.address('torn')}/hostname").is_success

    again = running.cli("retry", "torn")
    assert again.code == failed.code
    assert others(running, "torn") == kept, "a retry that fails again leaves the rest alone, too"

    recommit(source, GOOD)
    running.ok("retry", "torn")
    assert set(running.containers("torn")) == {"data", "api", "web"}
    assert others(running, "torn") == kept
    assert newest(running, "torn")["cause"] == "retry"
    running.ok("delete", "torn", "--yes", "--delete-data")
    assert left(docker_url, "torn") == []


def test_what_never_answers_is_not_ready_and_a_fork_changes_only_that(
    running: NodeProcess, repositories: Path
) -> None:
    source = made(repositories / "silent", SILENT)
    failed = running.cli("deploy", source.url, "--name", "silent")
    assert failed.code != 0
    assert "not ready within 2 s" in failed.err
    failure = last_failure(running, "silent")
    assert failure["applicationFailureInfo"]["type"] == "NotReady"
    assert newest(running, "silent")["failure"]["component"] == "api"
    kept = others(running, "silent")
    assert set(kept) == {"data", "web"}

    running.ok("fork", "silent", "--set", f"api.command={GOOD}")
    assert others(running, "silent") == kept
    first = running.containers("silent")
    running.ok("fork", "silent", "--set", "api.env.MODE=fast")
    assert others(running, "silent") == kept
    assert running.containers("silent")["api"] != first["api"], "the changed input concerns this one"
    assert newest(running, "silent")["cause"] == "fork"

    wrong = running.cli("fork", "silent", "--set", "api.health.port=9")
    assert wrong.code != 0
    assert newest(running, "silent")["failure"]["code"] == "NotReady"
    assert others(running, "silent") == kept


def test_a_failed_second_revision_is_rolled_back_to_the_same_address(
    running: NodeProcess, repositories: Path
) -> None:
    source = made(repositories / "back", GOOD)
    running.ok("deploy", source.url, "--name", "back")
    before, address = running.containers("back"), running.address("back")

    recommit(source, BROKEN)
    failed = running.cli("deploy", "back")
    assert failed.code != 0
    deployment = newest(running, "back")
    assert (deployment["status"], deployment["failure"]["code"]) == ("rolled-back", "InstanceExited")
    rows = {row["component"]: row["phase"] for row in deployment["progress"]["components"]}
    assert rows["api"] == "failed"
    assert described(running, "back")["workflowExecutionInfo"]["status"] == "WORKFLOW_EXECUTION_STATUS_FAILED"
    assert running.containers("back") == before, "the old one was never touched"
    app = running.api("GET", "/api/v1/apps/back").json()
    assert (app["status"], app["revision"]) == ("running", 1)
    assert running.address("back") == address
    assert httpx.get(f"{address}/hostname").is_success

    recommit(source, GOOD + " -v")
    running.ok("deploy", "back")
    assert others(running, "back") == {name: ids for name, ids in before.items() if name != "api"}
    running.ok("rollback", "back")
    app = running.api("GET", "/api/v1/apps/back").json()
    assert (app["status"], app["revision"]) == ("running", 1)
    assert running.address("back") == address
    assert running.cli("rollback", "back", "--revision", "99").code == 4
    running.ok("stop", "back")
    refused = running.cli("retry", "back")
    assert refused.code == 5, "retrying must not start what was stopped"
    assert "stop" in refused.err


def test_a_replaced_component_comes_back_when_a_later_one_fails(running: NodeProcess, repositories: Path) -> None:
    """`web` publishes a port, so its old instance has stopped before the failure: undoing starts it again there."""
    source = made(repositories / "undo", GOOD)
    running.ok("deploy", source.url, "--name", "undo")
    address = running.address("undo")
    late = APP.replace("/etc\n    ports: [8081]", "/etc -v\n    ports: [8081]").replace(
        "needs: [data]", "needs: [web]"
    )
    source.write("iarnet.yaml", late.format(command=BROKEN)).commit()
    assert running.cli("deploy", "undo").code != 0
    deployment = newest(running, "undo")
    rows = {row["component"]: row["phase"] for row in deployment["progress"]["components"]}
    assert (deployment["status"], rows["web"], rows["api"]) == ("rolled-back", "rolled-back", "failed")
    assert set(running.containers("undo")) == {"data", "api", "web"}
    assert running.address("undo") == address
    assert httpx.get(f"{address}/hostname").is_success
    assert running.api("GET", "/api/v1/apps/undo").json()["revision"] == 1


def test_a_cancelled_first_deployment_leaves_nothing(
    running: NodeProcess, repositories: Path, docker_url: str
) -> None:
    source = repository(repositories / "slow", iarnet_DOT_yaml=APP.format(command=SILENT).replace("2s", "300s"))
    running.ok("deploy", source.url, "--name", "slow", "--detach")
    _until_starting(running, "slow")
    running.ok("cancel", "slow")
    _until_ended(running, "slow", "cancelled")
    assert running.containers("slow") == {}
    assert left(docker_url, "slow") in ([], ["iarnet-slow"]), "at most the network, which goes with the app"
    assert running.api("GET", "/api/v1/apps/slow").json()["status"] == "stopped"
    assert running.cli("cancel", "slow").code == 5, "nothing is left to be cancelled"
    until(lambda: _status(running, "watch.slow") != "WORKFLOW_EXECUTION_STATUS_RUNNING", "nothing is watched")
    recommit(source, GOOD)
    running.ok("retry", "slow")
    assert set(running.containers("slow")) == {"data", "api", "web"}


def test_a_cancelled_second_revision_gives_back_the_first(running: NodeProcess, repositories: Path) -> None:
    source = made(repositories / "second", GOOD)
    running.ok("deploy", source.url, "--name", "second")
    before = running.containers("second")
    source.write("iarnet.yaml", APP.format(command=SILENT).replace("2s", "300s")).commit()
    running.ok("deploy", "second", "--detach")
    _until_starting(running, "second")
    running.temporal("workflow", "cancel", "--workflow-id", "change.second")
    _until_ended(running, "second", "cancelled")
    assert running.containers("second") == before
    assert running.api("GET", "/api/v1/apps/second").json()["status"] == "running"


def _until_starting(running: NodeProcess, app: str) -> None:
    def starting() -> bool:
        answer = running.temporal(
            "workflow", "query", "--workflow-id", f"change.{app}", "--type", "progress", "-o", "json"
        )
        rows = answer.json["queryResult"][0]["components"] if answer.code == 0 else None
        return any((row["component"], row["phase"]) == ("api", "starting") for row in rows or ())

    until(starting, f"api of {app} starts")


def _until_ended(running: NodeProcess, app: str, status: str) -> None:
    until(lambda: newest(running, app)["status"] != "running", f"the change of {app} ends")
    assert newest(running, app)["status"] == status
    expected = {"cancelled": "WORKFLOW_EXECUTION_STATUS_CANCELED"}[status]
    until(lambda: _status(running, f"change.{app}") == expected, f"change.{app} is {expected}")


def _status(running: NodeProcess, workflow_id: str) -> str:
    answer = running.temporal("workflow", "describe", "--workflow-id", workflow_id, "-o", "json").json
    return str(answer["workflowExecutionInfo"]["status"])
