"""What ends, hangs or disappears comes back, without anybody asking for it."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import httpx
import psutil
import pytest

from tests.contract.docker_engine import swept
from tests.e2e.busybox import application, component, described, server, worker
from tests.e2e.engine import at
from tests.e2e.harness import NodeProcess, until

pytestmark = [pytest.mark.e2e, pytest.mark.docker]


@pytest.fixture(scope="module")
def engine(docker_url: str) -> Iterator[docker.APIClient]:
    with swept(docker_url, "nobody") as client:
        yield client


def started(engine: docker.APIClient, name: str) -> str:
    """When the container was started last; empty while it does not run."""
    try:
        id = at(engine, name)
        state = engine.inspect_container(id)["State"] if id else {"Running": False}
    except docker.errors.NotFound:
        return ""
    return str(state["StartedAt"]) if state["Running"] else ""


def restarted(engine: docker.APIClient, name: str, before: str) -> Any:
    return until(lambda: (now := started(engine, name)) != before and now, f"{name} is restarted")


def kinds(node: NodeProcess, app: str, kind: str) -> list[Any]:
    events = node.api("GET", f"/api/v1/apps/{app}/events").json()["events"]
    return [e for e in events if e["kind"] == kind]


def deployed(node: NodeProcess, folder: Path, app: str, *components: tuple[str, str]) -> dict[str, str]:
    source = application(folder / app, *components)
    node.ok("deploy", source.url, "--name", app)
    return node.instances(app)


def test_what_is_killed_is_restarted_in_place(
    running: NodeProcess, repositories: Path, engine: docker.APIClient
) -> None:
    before = deployed(running, repositories, "killed", server())
    name = "iarnet-killed-web-r1-0"
    first = started(engine, name)
    engine.kill(at(engine, name))
    restarted(engine, name, first)
    assert running.instances("killed") == before, "the same container"
    told = until(lambda: kinds(running, "killed", "instance.restarted"), "the story says so")
    assert "137" in told[-1]["message"]
    assert httpx.get(running.address("killed")).text == "ok\n"


def test_a_container_that_is_gone_is_made_again_by_a_change(
    running: NodeProcess, repositories: Path, engine: docker.APIClient
) -> None:
    before = deployed(running, repositories, "gone", server(), worker("other"))
    engine.remove_container(at(engine, "iarnet-gone-web-r1-0"), force=True)
    until(lambda: started(engine, "iarnet-gone-web-r1-0"), "it is there again")
    until(lambda: running.api("GET", "/api/v1/apps/gone").json()["status"] == "running", "the change has ended")
    after = running.instances("gone")
    assert after.keys() == before.keys()
    assert after["iarnet-gone-web-r1-0"] != before["iarnet-gone-web-r1-0"]
    assert after["iarnet-gone-other-r1-0"] == before["iarnet-gone-other-r1-0"]
    causes = [d["cause"] for d in running.api("GET", "/api/v1/apps/gone/deployments").json()["deployments"]]
    assert causes == ["heal", "deploy"]
    assert httpx.get(running.address("gone")).text == "ok\n"


def test_healing_brings_back_what_ran_and_nothing_newer(
    running: NodeProcess, repositories: Path, engine: docker.APIClient
) -> None:
    source = application(repositories / "older", server())
    running.ok("deploy", source.url, "--name", "older")
    source.replace("iarnet.yaml", "echo ok", "echo newer").commit()
    running.ok("import", source.url, "--name", "older")
    engine.remove_container(at(engine, "iarnet-older-web-r1-0"), force=True)
    until(lambda: started(engine, "iarnet-older-web-r1-0"), "revision 1 is there again")
    until(lambda: running.api("GET", "/api/v1/apps/older").json()["status"] == "running", "the change has ended")
    assert httpx.get(running.address("older")).text == "ok\n"


@pytest.mark.parametrize("how", ["stopped", "failing"])
def test_what_hangs_is_restarted(
    running: NodeProcess, repositories: Path, engine: docker.APIClient, how: str
) -> None:
    app = f"hang-{how}"
    # It is not yet known to be well when it begins to hang: until the end of its `start_period` it may be starting.
    health = "{path: /index.html, interval: 1s, timeout: 1s, start_period: 5s}"
    before = deployed(running, repositories, app, server(health=health))
    name = f"iarnet-{app}-web-r1-0"
    first = started(engine, name)
    until(lambda: httpx.get(running.address(app)).is_success, "it answers")
    if how == "stopped":
        first_process = psutil.Process(engine.inspect_container(at(engine, name))["State"]["Pid"])
        for process in (first_process, *first_process.children(recursive=True)):
            process.send_signal(signal.SIGSTOP)
    else:
        engine.exec_start(engine.exec_create(at(engine, name), ["rm", "/tmp/pages/index.html"])["Id"])
    restarted(engine, name, first)
    assert running.instances(app) == before
    told = until(lambda: kinds(running, app, "instance.restarted"), "the story says so")
    assert "stopped answering" in told[-1]["message"]
    until(lambda: httpx.get(running.address(app)).text == "ok\n", "users are led to it again")
    journal = (running.data / "gateway" / "health.log").read_text().splitlines()
    assert [line for line in journal if f'"{app}/web/' in line and "eject_unhealthy" in line], "the gateway found it"


def test_a_crash_loop_is_given_up_and_said(
    running: NodeProcess, repositories: Path, engine: docker.APIClient
) -> None:
    """Comes up well, and then dies whenever it is started again."""
    dies_later = "sh -c 'test -e /tmp/once && exit 3; touch /tmp/once; exec sleep 1000000'"
    deployed(running, repositories, "loop", worker("poor", dies_later), server())
    engine.kill(at(engine, "iarnet-loop-poor-r1-0"))
    until(lambda: kinds(running, "loop", "instance.given-up"), "it is given up")
    state = running.api("GET", "/api/v1/apps/loop").json()
    assert state["status"] == "degraded"
    tries = len(kinds(running, "loop", "instance.restarted")) + len(kinds(running, "loop", "instance.restart-failed"))
    assert tries == 5, "the budget"
    assert len(kinds(running, "loop", "instance.given-up")) == 1
    assert not started(engine, "iarnet-loop-poor-r1-0")
    assert httpx.get(running.address("loop")).text == "ok\n", "the others go on"

    running.ok("stop", "loop")
    running.ok("start", "loop")
    assert started(engine, "iarnet-loop-poor-r1-0"), "a change is another chance, here with a new container"
    assert running.api("GET", "/api/v1/apps/loop").json()["status"] == "running"


def test_a_change_that_waits_does_not_stop_the_healing_of_others(
    running: NodeProcess, repositories: Path, engine: docker.APIClient
) -> None:
    source = application(repositories / "waits", server(), worker("other"))
    running.ok("deploy", source.url, "--name", "waits")
    never = component("slow", "sleep 1000000", kind="web", ports="[9000]", health="{type: tcp, start_period: 10m}")
    source.write("iarnet.yaml", described(server(), worker("other"), never)).commit()
    running.ok("deploy", "waits", "--detach")
    until(lambda: started(engine, "iarnet-waits-slow-r2-0"), "the new component starts")

    first = started(engine, "iarnet-waits-other-r1-0")
    engine.kill(at(engine, "iarnet-waits-other-r1-0"))
    restarted(engine, "iarnet-waits-other-r1-0", first)
    change = running.api("GET", "/api/v1/apps/waits").json()["deployment"]
    assert change["status"] == "running", "the change still waits"
    running.ok("cancel", "waits")
    until(lambda: running.api("GET", "/api/v1/apps/waits").json()["status"] == "running", "it is undone")
    assert sorted(running.instances("waits")) == ["iarnet-waits-other-r1-0", "iarnet-waits-web-r1-0"]


def test_what_ended_while_the_node_was_down_is_mended_afterwards(
    running: NodeProcess, repositories: Path, engine: docker.APIClient
) -> None:
    before = deployed(running, repositories, "down", server(), worker("gone"), worker("well"))
    well = started(engine, "iarnet-down-well-r1-0")
    running.kill()
    engine.kill(at(engine, "iarnet-down-web-r1-0"))
    engine.remove_container(at(engine, "iarnet-down-gone-r1-0"), force=True)
    running.up()
    until(lambda: started(engine, "iarnet-down-web-r1-0"), "it is restarted")
    until(lambda: started(engine, "iarnet-down-gone-r1-0"), "it is made again")
    until(lambda: running.api("GET", "/api/v1/apps/down").json()["status"] == "running", "the change has ended")
    assert running.instances("down").keys() == before.keys()
    assert running.instances("down")["iarnet-down-web-r1-0"] == before["iarnet-down-web-r1-0"]
    assert started(engine, "iarnet-down-well-r1-0") == well
    assert httpx.get(running.address("down")).text == "ok\n"


def test_a_job_that_has_done_its_work_stays_done(
    running: NodeProcess, repositories: Path, engine: docker.APIClient
) -> None:
    job = component("migrate", "sh -c 'echo done'", kind="job", health="none")
    deployed(running, repositories, "jobs", job, worker("after", needs="[migrate]"))
    ended = engine.inspect_container(at(engine, "iarnet-jobs-migrate-r1-0"))["State"]
    assert (ended["Running"], ended["ExitCode"]) == (False, 0)
    first = started(engine, "iarnet-jobs-after-r1-0")
    engine.kill(at(engine, "iarnet-jobs-after-r1-0"))
    restarted(engine, "iarnet-jobs-after-r1-0", first)
    assert engine.inspect_container(at(engine, "iarnet-jobs-migrate-r1-0"))["State"] == ended
    assert running.api("GET", "/api/v1/apps/jobs").json()["status"] == "running"


def test_a_restart_by_hand_keeps_the_container(
    running: NodeProcess, repositories: Path, engine: docker.APIClient
) -> None:
    before = deployed(running, repositories, "cared", server(), worker("other"))
    web, other = started(engine, "iarnet-cared-web-r1-0"), started(engine, "iarnet-cared-other-r1-0")
    running.ok("restart", "cared", "web")
    restarted(engine, "iarnet-cared-web-r1-0", web)
    assert started(engine, "iarnet-cared-other-r1-0") == other
    until(lambda: len(kinds(running, "cared", "instance.restarted")) == 1, "the story says so")

    running.ok("restart", "cared")
    restarted(engine, "iarnet-cared-other-r1-0", other)
    until(lambda: len(kinds(running, "cared", "instance.restarted")) == 3, "both were restarted, each once")
    assert running.instances("cared") == before
    assert running.cli("restart", "cared", "nothing").code == 4
