"""Every workflow by hand: started, watched, cancelled and retried with Temporal's own command line and plain JSON."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from temporalio.client import Client

from iarnet.errors import NotFound
from tests.e2e.engine import left
from tests.e2e.harness import Done, NodeProcess, until
from tests.e2e.repository import repository
from tests.replay.incompatible import DeployApp
from workers.converter import CONVERTER
from workers.replaying import replay

pytestmark = [pytest.mark.e2e, pytest.mark.docker]

APP = """
components:
  web: {kind: web, image: busybox:stable, command: httpd -f -p 8081 -h /etc, ports: [8081], publish: true}
"""
SLOW = """
components:
  web:
    kind: web
    image: busybox:stable
    command: sleep 3600
    ports: [8081]
    health: {path: /, start_period: 300s}
"""


def start(running: NodeProcess, kind: str, workflow_id: str, *words: str, verb: str = "start") -> Done:
    return running.temporal(
        "workflow", verb, "--type", kind, "--task-queue", "iarnet", "--workflow-id", workflow_id, *words
    )


def given(value: Any) -> tuple[str, str]:
    return "--input", json.dumps(value)


def describe(running: NodeProcess, workflow_id: str) -> dict[str, Any]:
    done = running.temporal("workflow", "describe", "--workflow-id", workflow_id, "-o", "json")
    assert done.code == 0, done.err
    return dict(done.json)


def status(running: NodeProcess, workflow_id: str) -> str:
    found = describe(running, workflow_id)["workflowExecutionInfo"]["status"]
    return str(found).removeprefix("WORKFLOW_EXECUTION_STATUS_")


def ended(running: NodeProcess, kind: str, workflow_id: str, *words: str) -> dict[str, Any]:
    """What is said of a run once it has ended, which is waited for."""
    return dict(start(running, kind, workflow_id, *words, "-o", "json", verb="execute").json)


def run(running: NodeProcess, kind: str, workflow_id: str, value: Any) -> Any:
    """The result of a run that ends well."""
    found = ended(running, kind, workflow_id, *given(value))
    assert found["status"] == "COMPLETED", json.dumps(found["closeEvent"])
    return found["result"]


def failure(running: NodeProcess, kind: str, workflow_id: str, *words: str) -> tuple[str, str]:
    """Type and message of the failure that a run ends with."""
    found = ended(running, kind, workflow_id, *words)
    assert found["status"] == "FAILED", found
    what = found["closeEvent"]["workflowExecutionFailedEventAttributes"]["failure"]
    return what["applicationFailureInfo"]["type"], what["message"]


def query(running: NodeProcess, workflow_id: str, name: str) -> dict[str, Any]:
    done = running.temporal("workflow", "query", "--workflow-id", workflow_id, "--type", name, "-o", "json")
    assert done.code == 0, done.err
    return dict(done.json["queryResult"][0])


def events(running: NodeProcess, workflow_id: str) -> list[dict[str, Any]]:
    return list(running.temporal("workflow", "show", "--workflow-id", workflow_id, "-o", "json").json["events"])


def listed(running: NodeProcess, condition: str) -> set[str]:
    found = running.temporal("workflow", "list", "--query", condition, "-o", "json").json
    return {f"{each['type']['name']} {each['execution']['workflowId']}" for each in found}


def git(folder: Path, text: str = APP) -> dict[str, str]:
    return {"url": repository(folder, iarnet_DOT_yaml=text).url}


def test_the_life_of_an_application_by_hand(running: NodeProcess, repositories: Path, docker_url: str) -> None:
    source = git(repositories / "hand")
    imported = run(running, "ImportApp", "import.hand.main", {"app": "hand", "git": source})
    assert imported["changed"] is True
    commit = imported["commit"]
    analysed = run(running, "AnalyzeApp", f"analyze.hand.{commit}", {"app": "hand", "commit": commit})
    assert analysed["components"] == ["web"]
    plan = run(running, "PlanChange", "plan.hand.1", {"app": "hand"})
    assert [operation["kind"] for operation in plan["operations"]] == ["serve", "deploy"]
    assert running.instances("hand") == {}, "a plan changes nothing"

    deployed = run(running, "DeployApp", "change.hand", {"app": "hand"})
    assert (deployed["status"], deployed["revision"]) == ("succeeded", 1)
    assert httpx.get(f"{deployed['addresses']['web']}/hostname").is_success
    selected = run(running, "SelectProviders", "select.hand.1", {"app": "hand"})
    assert [each["component"] for each in selected["assignments"]] == ["web"]
    before = running.instances("hand")

    restarted = running.temporal(
        *("workflow", "update", "execute", "--name", "restart", "--workflow-id", "watch.hand"),
        *given({"component": "web"}),
        *("-o", "json"),
    )
    assert restarted.json["result"] == 1, restarted.err
    assert running.instances("hand") == before, "in place"

    again = run(running, "DeployApp", "change.hand", {"app": "hand", "cause": "retry"})
    assert again["deployment_id"] == "hand.2", "the same ID again is a change of its own"
    assert running.instances("hand") == before

    stopped = run(running, "StopApp", "change.hand", {"app": "hand"})
    assert stopped["status"] == "succeeded"
    assert running.instances("hand") == {}
    assert running.api("GET", "/api/v1/apps/hand").json()["status"] == "stopped"
    assert run(running, "DeployApp", "change.hand", {"app": "hand", "fetch": False})["revision"] == 1

    run(running, "DeleteApp", "change.hand", {"app": "hand", "keep_data": False})
    assert left(docker_url, "hand") == []
    assert running.api("GET", "/api/v1/apps/hand").status_code == 404
    assert listed(running, 'IarnetApp="hand"') >= {
        "ImportApp import.hand.main",
        f"AnalyzeApp analyze.hand.{commit}",
        "PlanChange plan.hand.1",
        "SelectProviders select.hand.1",
        "DeployApp change.hand",
        "StopApp change.hand",
        "DeleteApp change.hand",
        "HealthWatch watch.hand",
    }
    causes = {cause: listed(running, f'IarnetApp="hand" AND IarnetCause="{cause}"') for cause in ("stop", "delete")}
    assert causes == {"stop": {"StopApp change.hand"}, "delete": {"DeleteApp change.hand"}}
    assert listed(running, 'IarnetApp="hand" AND IarnetRevision=1') == {"DeployApp change.hand"}


def test_a_change_is_watched_and_cancelled_and_started_again(
    running: NodeProcess, repositories: Path, docker_url: str
) -> None:
    source = git(repositories / "calm", SLOW)
    start(running, "DeployApp", "change.calm", *given({"app": "calm", "git": source}))
    rows = until(lambda: query(running, "change.calm", "progress")["components"], "there is a plan")
    until(lambda: query(running, "change.calm", "progress")["components"][0]["phase"] == "starting", "web starts")
    assert [row["component"] for row in rows] == ["web"]
    waiting = start(running, "DeployApp", "change.calm", *given({"app": "calm"}), "--fail-existing")
    assert waiting.code != 0, "one change at a time"
    assert query(running, "watch.calm", "state")["holds"][0]["components"] == ["web"]

    assert running.temporal("workflow", "cancel", "--workflow-id", "change.calm").code == 0
    until(lambda: status(running, "change.calm") == "CANCELED", "it is cancelled")
    assert running.instances("calm") == {}
    assert running.api("GET", "/api/v1/apps/calm").json()["status"] == "stopped"
    deployment = running.api("GET", "/api/v1/apps/calm/deployments").json()["deployments"][0]
    assert (deployment["status"], deployment["failure"]) == ("cancelled", None)

    fixed = {"web.command": "httpd -f -p 8081 -h /etc", "web.health.path": "/hostname"}
    again = run(running, "DeployApp", "change.calm", {"app": "calm", "settings": fixed})
    assert again["status"] == "succeeded"
    running.ok("delete", "calm", "--yes", "--delete-data")
    assert left(docker_url, "calm") == []


def test_a_cancel_that_comes_at_any_moment_is_heard(
    running: NodeProcess, repositories: Path, docker_url: str
) -> None:
    """Also between two steps, or while one that can't be cut short is ending well."""
    source = git(repositories / "sudden")
    for attempt in range(6):
        start(running, "DeployApp", "change.sudden", *given({"app": "sudden", "git": source}))
        asked = running.temporal("workflow", "cancel", "--workflow-id", "change.sudden")
        running.temporal("workflow", "result", "--workflow-id", "change.sudden")
        found = status(running, "change.sudden")
        if asked.code == 0 and _was_told_in_time(running, "change.sudden"):
            assert found == "CANCELED", f"attempt {attempt}"
            assert running.instances("sudden") == {}
        running.cli("delete", "sudden", "--yes", "--delete-data")
        assert left(docker_url, "sudden") == []


def _was_told_in_time(running: NodeProcess, workflow_id: str) -> bool:
    """Whether the change was woken after the cancellation, and before it began to record its end."""
    happened = events(running, workflow_id)
    cancelled = [int(e["eventId"]) for e in happened if e["eventType"].endswith("EXECUTION_CANCEL_REQUESTED")]
    woken = [int(e["eventId"]) for e in happened if e["eventType"].endswith("WORKFLOW_TASK_STARTED")]
    finish = [int(e["eventId"]) for e in happened if _local_activity(e) == "finish_change"]
    before = finish[0] if finish else int(happened[-1]["eventId"])
    return bool(cancelled) and any(cancelled[0] < each < before for each in woken)


def _local_activity(event: dict[str, Any]) -> str:
    """What the worker did within a task of the run, if that is what the event tells of."""
    told = event.get("markerRecordedEventAttributes", {}).get("details", {}).get("data")
    return str(json.loads(base64.b64decode(told["payloads"][0]["data"]))["activity_type"]) if told else ""


def test_watches_run_already_and_are_watched(running: NodeProcess, repositories: Path) -> None:
    run(running, "DeployApp", "change.watched", {"app": "watched", "git": git(repositories / "watched")})
    assert query(running, "watch.watched", "state")["app"] == "watched"
    assert query(running, "provider.local-docker", "state")["status"] == "active"
    for workflow_id, kind in (("watch.watched", "HealthWatch"), ("provider.local-docker", "ProviderWatch")):
        info = describe(running, workflow_id)["workflowExecutionInfo"]
        assert (info["type"]["name"], info["status"]) == (kind, "WORKFLOW_EXECUTION_STATUS_RUNNING")
    assert failure(running, "HealthWatch", "watch.other", *given({"app": "watched"}))[0] == "WrongWorkflowId"
    of_another = given({"provider_id": "local-docker", "home": running.name})
    assert failure(running, "ProviderWatch", "provider.x", *of_another)[0] == "WrongWorkflowId"
    unknown = given({"provider_id": "nowhere", "home": running.name})
    kind, message = failure(running, "ProviderWatch", "provider.nowhere", *unknown)
    assert kind == "NotFound", "a watch that can't hear anything does not look like one that does"
    assert "does not watch nowhere" in message

    running.ok("stop", "watched")
    until(lambda: status(running, "watch.watched") == "COMPLETED", "a stopped app is not watched")


REQUESTS = {
    "DeployApp": ("change.wrong", {"app": "wrong"}),
    "StopApp": ("change.wrong", {"app": "wrong"}),
    "DeleteApp": ("change.wrong", {"app": "wrong"}),
    "ImportApp": ("import.wrong.1", {"app": "wrong"}),
    "AnalyzeApp": ("analyze.wrong.1", {"app": "wrong"}),
    "SelectProviders": ("select.wrong.1", {"app": "wrong"}),
    "PlanChange": ("plan.wrong.1", {"app": "wrong"}),
    "HealthWatch": ("watch.wrong", {"app": "wrong"}),
    "ProviderWatch": ("provider.wrong", {"provider_id": "wrong", "home": "there"}),
}


@pytest.mark.parametrize("kind", REQUESTS)
def test_a_wrong_id_fails_at_once_with_the_right_command(running: NodeProcess, kind: str) -> None:
    right, value = REQUESTS[kind]
    wrong = f"mine-{kind}"
    what, message = failure(running, kind, wrong, *given(value))
    assert what == "WrongWorkflowId"
    assert f"temporal workflow start --type {kind} --task-queue iarnet --workflow-id {right} --input" in message
    assert len(events(running, wrong)) <= 5, "in its first task"


@pytest.mark.parametrize("kind", [kind for kind in REQUESTS if "Watch" not in kind])
def test_no_app_fails_at_once_and_is_typed(running: NodeProcess, kind: str) -> None:
    workflow_id, value = REQUESTS[kind]
    what, message = failure(running, kind, workflow_id, *given(value))
    assert what == "NotFound"
    assert "wrong" in message


BAD: dict[str, tuple[Sequence[str], str]] = {
    "unknown-field": (given({"app": "bad", "colour": "red"}), "colour"),
    "missing-field": (given({}), "app: Field required"),
    "wrong-type": (given({"app": "bad", "components": 3}), "components"),
    "bad-name": (given({"app": "No Name"}), "app"),
    "text": (given("bad"), "object"),
    "null": (given(None), "object"),
    "list": (given([{"app": "bad"}]), "object"),
    "nothing": ((), "given 0"),
    "two": ((*given({"app": "bad"}), *given({"app": "bad"})), "given 2"),
    "no-json": ((*given({"app": "bad"}), "--input-meta", "encoding=binary/plain"), "no JSON"),
    "no-encoding": ((*given({"app": "bad"}), "--input-meta", "encoding=strange"), "encoding strange"),
}


@pytest.mark.parametrize("kind", ["DeployApp", "ImportApp", "HealthWatch"])
@pytest.mark.parametrize("case", BAD)
def test_wrong_input_fails_at_once(running: NodeProcess, kind: str, case: str) -> None:
    words, expected = BAD[case]
    workflow_id = f"bad-{kind}-{case}"
    if kind == "HealthWatch" and case == "wrong-type":
        words, expected = given({"app": "bad", "lost": 3}), "lost"
    if kind == "ImportApp" and case == "wrong-type":
        words, expected = given({"app": "bad", "git": 3}), "git"
    what, message = failure(running, kind, workflow_id, *words)
    assert what == "InvalidInput"
    assert expected in message
    assert "--input" in message, "it says what is right"


def test_input_that_is_no_json_does_not_even_start(running: NodeProcess) -> None:
    refused = start(running, "DeployApp", "change.nojson", "--input", '{"app":')
    assert refused.code != 0
    assert "JSON" in refused.err


def test_a_payload_too_large_is_refused_at_once(running: NodeProcess, repositories: Path, tmp_path: Path) -> None:
    refused = start(running, "DeployApp", "change.large", *_sized(tmp_path, 2_500_000))
    assert refused.code != 0
    assert "size exceeds limit" in refused.err
    # Small enough to be started, too large to be handed on.
    source = git(repositories / "large")
    what, message = failure(running, "DeployApp", "change.large", *_sized(tmp_path, 2_050_000, git=source))
    assert what == "PayloadTooLarge"
    assert "2,000,000" in message
    deployment = running.api("GET", "/api/v1/apps/large/deployments").json()["deployments"][0]
    assert (deployment["status"], deployment["failure"]["code"]) == ("failed", "PayloadTooLarge")


def _sized(folder: Path, size: int, **more: Any) -> tuple[str, str]:
    file = folder / f"{size}.json"
    file.write_text(json.dumps({"app": "large", "settings": {"web.env.TEXT": "x" * size}, **more}))
    return "--input-file", str(file)


def test_the_web_ui_alone_tells_the_story(running: NodeProcess, repositories: Path) -> None:
    """It shows what these answers hold: summaries, details, attributes."""
    source = repository(repositories / "story", iarnet_DOT_yaml=APP)
    running.ok("deploy", source.url, "--name", "story")
    described = describe(running, "change.story")
    attributes = described["workflowExecutionInfo"]["searchAttributes"]["indexedFields"]
    assert {"IarnetApp", "IarnetCause", "IarnetNode", "IarnetRevision"} <= set(attributes)
    shown = running.temporal("workflow", "describe", "--workflow-id", "change.story").out
    assert '"deploy story"' in shown, "the static summary"

    details = running.temporal("workflow", "metadata", "--workflow-id", "change.story").out
    assert "**story** revision 1: succeeded" in details
    assert "component" in details
    assert "healthy" in details
    watched = running.temporal("workflow", "metadata", "--workflow-id", "watch.story").out
    assert "**story** is watched" in watched
    assert '"keeps story running"' in running.temporal("workflow", "describe", "--workflow-id", "watch.story").out

    summaries = [_summary(event) for event in events(running, "change.story")]
    assert {"find components and edges", "plan, place, reserve", "record: succeeded"} <= set(summaries), summaries
    assert "deploy iarnet-story-web-r1-0 (new)" in summaries

    replayed = running.ok("--json", "replay", "change.story")
    assert replayed.json["same"] is True


async def test_a_replay_catches_code_that_would_decide_otherwise(running: NodeProcess, repositories: Path) -> None:
    source = repository(repositories / "other", iarnet_DOT_yaml=APP)
    running.ok("deploy", source.url, "--name", "other")
    client = await Client.connect(running.temporal_address, namespace="iarnet", data_converter=CONVERTER)
    assert (await replay(client, "change.other", None)).same
    # `iarnet deploy` has fetched before: the careless one plans before it analyses.
    report = await replay(client, "change.other", None, [DeployApp])
    assert not report.same
    assert "Nondeterminism" in report.difference
    with pytest.raises(NotFound):
        await replay(client, "change.nobody", None)


def _summary(event: dict[str, Any]) -> str:
    payload = event.get("userMetadata", {}).get("summary")
    return str(json.loads(base64.b64decode(payload["data"]))) if payload else ""
