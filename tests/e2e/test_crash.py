"""`kill -9` in the middle of everything: what was begun goes on, what was done stays done."""

import json
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import docker
import httpx
import psutil
import pytest

from tests.contract.docker_engine import IMAGE, swept
from tests.e2e.busybox import application, component, described, server, worker
from tests.e2e.engine import at
from tests.e2e.harness import NodeProcess, until
from tests.e2e.reviving import taken_up

pytestmark = [pytest.mark.e2e, pytest.mark.docker]

SLOW = "sh -c 'while ! test -e /tmp/go; do sleep 0.1; done; exec httpd -f -p 8080 -h /tmp'"
"""Ready only when somebody says so."""


@pytest.fixture(scope="module")
def engine(docker_url: str) -> Iterator[docker.APIClient]:
    with swept(docker_url, "nobody") as client:
        yield client


def containers(engine: docker.APIClient, app: str) -> dict[str, tuple[str, str]]:
    """Name -> (the engine's ID, when it was started), of everything that carries the app's label."""
    found = engine.containers(all=True, filters={"label": f"iarnet.app={app}"})
    seen = (engine.inspect_container(each["Id"]) for each in found)
    return {each["Config"]["Labels"]["iarnet.name"]: (each["Id"], each["State"]["StartedAt"]) for each in seen}


def runs(engine: docker.APIClient, name: str) -> bool:
    try:
        id = at(engine, name)
        return bool(id and engine.inspect_container(id)["State"]["Running"])
    except docker.errors.NotFound:
        return False


def say_go(engine: docker.APIClient, name: str) -> None:
    engine.exec_start(engine.exec_create(at(engine, name), ["touch", "/tmp/go"])["Id"])


def ended(node: NodeProcess, app: str) -> Any:
    def look() -> Any:
        deployment = node.api("GET", f"/api/v1/apps/{app}").json()["deployment"]
        return deployment if deployment and deployment["status"] != "running" else None

    return until(look, f"the change of {app} ends")


def revived(node: NodeProcess, app: str, what: str) -> None:
    """Up again; prints how long it took, and how long until somebody worked on the change."""
    began = datetime.now(UTC)
    answered_s = node.up()
    resumed_s = taken_up(node, app, began)
    print(f"{what}: the API answered after {answered_s:.2f} s, the change went on after {resumed_s:.2f} s")


def test_a_deployment_goes_on_while_a_component_starts(
    running: NodeProcess, repositories: Path, engine: docker.APIClient
) -> None:
    slow = component("web", SLOW, kind="web", ports="[8080]", publish="true", needs="[first]")
    source = application(repositories / "starting", worker("first"), slow)
    running.ok("deploy", source.url, "--name", "starting", "--detach")
    until(lambda: runs(engine, "iarnet-starting-web-r1-0"), "the slow one starts")
    before = containers(engine, "starting")
    running.kill()
    revived(running, "starting", "killed while a component started")
    say_go(engine, "iarnet-starting-web-r1-0")
    assert ended(running, "starting")["status"] == "succeeded"
    assert containers(engine, "starting") == before, "no second container, none restarted"
    assert httpx.get(running.address("starting") + "/go").is_success


def test_a_deployment_goes_on_between_two_components(
    running: NodeProcess, repositories: Path, engine: docker.APIClient
) -> None:
    """Killed when the one is done, while the next waits for its turn."""
    slow = component("second", SLOW, kind="web", ports="[8080]", needs="[first]")
    third = worker("third", needs="[second]")
    source = application(repositories / "between", worker("first"), slow, third)
    running.ok("deploy", source.url, "--name", "between", "--detach")
    until(lambda: runs(engine, "iarnet-between-second-r1-0"), "the second one starts")
    before = containers(engine, "between")
    assert "iarnet-between-third-r1-0" not in before
    running.kill()
    say_go(engine, "iarnet-between-second-r1-0")
    revived(running, "between", "killed between two components")
    assert ended(running, "between")["status"] == "succeeded"
    after = containers(engine, "between")
    assert after.keys() == before.keys() | {"iarnet-between-third-r1-0"}
    assert {name: after[name] for name in before} == before


def test_a_deployment_goes_on_during_a_build(
    running: NodeProcess, repositories: Path, engine: docker.APIClient
) -> None:
    app = f"building-{running.name}"
    dockerfile = f"FROM {IMAGE}\nRUN echo {running.name} && sleep 6\nCMD httpd -f -p 8080 -h /etc\nEXPOSE 8080\n"
    source = application(repositories / "building", worker("other"))
    source.write("web/Dockerfile", dockerfile)
    built = "web", "  web: {build: web, dockerfile: Dockerfile, kind: web, ports: [8080], publish: true}\n"
    source.write("iarnet.yaml", described(worker("other"), built)).commit()
    begun = json.loads(running.ok("--json", "deploy", source.url, "--name", app, "--detach").out)

    def builds() -> bool:
        progress = running.api("GET", begun["follow"]).json()
        return any(row["phase"] == "building" for row in progress["components"])

    until(builds, "the image is being built")
    until(lambda: runs(engine, f"iarnet-{app}-other-r1-0"), "the other one runs meanwhile")
    before = containers(engine, app)
    running.kill()
    revived(running, app, "killed during a build")
    assert ended(running, app)["status"] == "succeeded"
    after = containers(engine, app)
    assert after.keys() == before.keys() | {f"iarnet-{app}-web-r1-0"}
    assert {name: after[name] for name in before} == before
    assert httpx.get(running.address(app) + "/passwd").is_success


def test_a_clean_stop_in_the_middle_leaves_no_process_but_the_gateway_and_the_change_goes_on(
    running: NodeProcess, repositories: Path, engine: docker.APIClient
) -> None:
    source = application(repositories / "stopped", component("web", SLOW, kind="web", ports="[8080]"))
    running.ok("deploy", source.url, "--name", "stopped", "--detach")
    until(lambda: runs(engine, "iarnet-stopped-web-r1-0"), "it starts")
    before = containers(engine, "stopped")
    assert running.process
    gateway = json.loads((running.data / "gateway" / "process.json").read_text())["pid"]
    children = [p for p in psutil.Process(running.process.pid).children(recursive=True) if p.pid != gateway]
    temporal = psutil.Process(json.loads((running.data / "temporal" / "temporal.json").read_text())["pid"])
    began = time.monotonic()
    assert running.down() == 0
    print(f"a clean stop with a deployment under way took {time.monotonic() - began:.2f} s")
    assert not [p for p in (*children, temporal) if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
    running.up()
    say_go(engine, "iarnet-stopped-web-r1-0")
    assert ended(running, "stopped")["status"] == "succeeded"
    assert containers(engine, "stopped") == before


def test_the_embedded_temporal_is_started_again(
    running: NodeProcess, repositories: Path, engine: docker.APIClient
) -> None:
    source = application(repositories / "temporal", component("web", SLOW, kind="web", ports="[8080]"))
    running.ok("deploy", source.url, "--name", "temporal", "--detach")
    until(lambda: runs(engine, "iarnet-temporal-web-r1-0"), "it starts")
    before = containers(engine, "temporal")
    record = running.data / "temporal" / "temporal.json"
    first = json.loads(record.read_text())
    psutil.Process(first["pid"]).send_signal(signal.SIGKILL)

    def another() -> dict[str, int]:
        now: dict[str, int] = json.loads(record.read_text() or "{}")
        return now if now.get("pid") != first["pid"] else {}

    second = until(another, "another server runs")
    assert (second["port"], second["ui_port"]) == (first["port"], first["ui_port"])
    say_go(engine, "iarnet-temporal-web-r1-0")
    until(lambda: running.api("GET", "/api/v1/apps/temporal").status_code == 200, "the API answers")
    assert ended(running, "temporal")["status"] == "succeeded"
    assert containers(engine, "temporal") == before
    running.ok("stop", "temporal")


def test_killing_both_the_node_and_its_temporal_loses_nothing(
    running: NodeProcess, repositories: Path, engine: docker.APIClient
) -> None:
    source = application(repositories / "both", component("web", SLOW, kind="web", ports="[8080]"))
    running.ok("deploy", source.url, "--name", "both", "--detach")
    until(lambda: runs(engine, "iarnet-both-web-r1-0"), "it starts")
    before = containers(engine, "both")
    server_pid = json.loads((running.data / "temporal" / "temporal.json").read_text())["pid"]
    running.kill()
    psutil.Process(server_pid).send_signal(signal.SIGKILL)
    revived(running, "both", "killed with its Temporal")
    say_go(engine, "iarnet-both-web-r1-0")
    assert ended(running, "both")["status"] == "succeeded"
    assert containers(engine, "both") == before


def test_a_second_node_on_the_same_data_is_refused(running: NodeProcess) -> None:
    assert running.process
    second = running.cli("--json", "up")
    assert second.code == 5
    error = json.loads(second.err)["error"]
    assert error["code"] == "AlreadyExists"
    assert str(running.process.pid) in error["message"]
    assert str(running.data) in error["message"]
    assert "data_dir" in error["hint"]
    assert running.api("GET", "/api/v1/apps").status_code == 200, "the first is not disturbed"


def test_three_kills_in_a_row_still_end_in_one_application(
    running: NodeProcess, repositories: Path, engine: docker.APIClient
) -> None:
    slow = component("web", SLOW, kind="web", ports="[8080]", needs="[first]")
    source = application(repositories / "thrice", server("first", publish="false"), slow)
    running.ok("deploy", source.url, "--name", "thrice", "--detach")
    for _ in range(3):
        running.kill()
        running.up()
    until(lambda: runs(engine, "iarnet-thrice-web-r1-0"), "the slow one starts")
    say_go(engine, "iarnet-thrice-web-r1-0")
    assert ended(running, "thrice")["status"] == "succeeded"
    assert sorted(containers(engine, "thrice")) == ["iarnet-thrice-first-r1-0", "iarnet-thrice-web-r1-0"]
