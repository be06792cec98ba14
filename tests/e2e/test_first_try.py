"""The main job, on the smallest application there is."""

from pathlib import Path

import httpx
import pytest

from tests.contract.docker_engine import swept
from tests.e2e.harness import NodeProcess
from tests.e2e.repository import example

pytestmark = [pytest.mark.e2e, pytest.mark.docker]


def left(docker_url: str, node: NodeProcess, app: str) -> list[str]:
    """Everything on the engine that carries the app's label, images too."""
    with swept(docker_url, "nobody") as client:
        label = {"label": f"iarnet.app={app}"}
        return [
            *(c["Names"][0] for c in client.containers(all=True, filters=label)),
            *(n["Name"] for n in client.networks(filters=label)),
            *(v["Name"] for v in client.volumes(filters=label)["Volumes"] or ()),
            *(i["RepoTags"][0] for i in client.images(filters=label) if i["RepoTags"]),
        ]


def test_a_git_url_goes_in_and_a_running_application_comes_out(
    running: NodeProcess, repositories: Path, docker_url: str
) -> None:
    source = example("go-hello", repositories)
    running.ok("deploy", source.url, "--name", "hello")
    first = running.instances("hello")
    assert "ello" in httpx.get(running.address("hello")).text

    again = running.ok("deploy", "hello")
    assert again.code == 0
    assert running.instances("hello") == first, "nothing changed, nothing is replaced"

    source.replace("main.go", "Hello", "Goodbye").commit()
    running.ok("deploy", "hello")
    assert "Goodbye" in httpx.get(running.address("hello")).text
    assert not set(running.instances("hello").values()) & set(first.values())

    running.ok("stop", "hello")
    assert running.instances("hello") == {}
    running.ok("start", "hello")
    assert "Goodbye" in httpx.get(running.address("hello")).text
    running.ok("delete", "hello", "--yes", "--delete-data")
    assert left(docker_url, running, "hello") == []
    assert running.cli("status", "hello").code == 4
