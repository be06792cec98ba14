"""The main job, on the smallest application there is."""

from pathlib import Path

import httpx
import pytest

from tests.e2e.engine import left
from tests.e2e.harness import NodeProcess
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
