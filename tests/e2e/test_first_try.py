"""The main job, on the smallest application there is."""

from pathlib import Path

import httpx
import pytest

from tests.e2e.busybox import SERVE, application, server
from tests.e2e.engine import left
from tests.e2e.harness import NodeProcess
from tests.e2e.refusing import failure
from tests.e2e.repository import example

pytestmark = [pytest.mark.e2e, pytest.mark.docker]


def test_a_git_url_goes_in_and_a_running_application_comes_out(
    running: NodeProcess, repositories: Path, docker_url: str
) -> None:
    app = f"hello-{running.name}"
    source = example("go-hello", repositories)
    running.ok("deploy", source.url, "--name", app)
    first = running.instances(app)
    assert "ello" in httpx.get(running.address(app)).text

    again = running.ok("deploy", app)
    assert again.code == 0
    assert running.instances(app) == first, "nothing changed, nothing is replaced"

    source.replace("main.go", "Hello", "Goodbye").commit()
    running.ok("deploy", app)
    assert "Goodbye" in httpx.get(running.address(app)).text
    assert not set(running.instances(app).values()) & set(first.values())

    running.ok("stop", app)
    assert running.instances(app) == {}
    running.ok("start", app)
    assert "Goodbye" in httpx.get(running.address(app)).text
    running.ok("delete", app, "--yes", "--delete-data")
    assert left(docker_url, app) == []
    assert running.cli("status", app).code == 4


def test_what_listens_elsewhere_than_analysis_says_runs_all_the_same(
    running: NodeProcess, repositories: Path
) -> None:
    """Its start shows where, and that is kept; until a user says otherwise."""
    app = f"elsewhere-{running.name}"
    source = application(repositories / app, server(command=SERVE.replace("8080", "3000")))
    running.ok("import", source.url, "--name", app)
    progress = running.finished(running.api("POST", f"/api/v1/apps/{app}/deploy"))
    assert progress["status"] == "succeeded", progress
    assert httpx.get(running.address(app)).text == "ok\n"
    settings = running.api("GET", f"/api/v1/apps/{app}/settings").json()
    assert (settings["values"], settings["observed"]) == ({}, {"web.port": "3000"})

    before = running.instances(app)
    running.ok("deploy", app)
    assert running.instances(app) == before

    told = failure(running, app, settings={"web.port": "8081"}, on_failure="hold")
    assert (told["code"], told["where"]) == ("WrongPort", "web.port")
    assert "--set web.port=3000" in told["hint"]
    running.ok("deploy", app, "--set", "web.port=")
    assert httpx.get(running.address(app)).text == "ok\n"
    running.ok("delete", app, "--yes", "--delete-data")
