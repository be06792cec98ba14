"""Traffic that never drops: instances are replaced, killed and mended while users ask."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import psutil
import pytest

from tests.contract.docker_engine import swept
from tests.e2e.busybox import application, described, server
from tests.e2e.harness import NodeProcess, until
from tests.e2e.load import load

pytestmark = [pytest.mark.e2e, pytest.mark.docker]

GREET = (
    "sh -c 'mkdir -p /tmp/p && echo {word} > /tmp/p/index.html && sleep {late} && exec httpd -f -p {port} -h /tmp/p'"
)
FRONT = "sh -c 'while true; do wget -q -O /dev/null http://back:8080/ || echo failed; sleep 0.02; done'"
"""Asks its neighbour without end, and says so when it gets no answer."""


@pytest.fixture(scope="module")
def engine(docker_url: str) -> Iterator[docker.APIClient]:
    with swept(docker_url, "nobody") as client:
        yield client


def greeting(word: str, late: float = 0, port: int = 8080) -> str:
    return GREET.format(word=word, late=late, port=port)


def published(node: NodeProcess, app: str, component: str = "web") -> int:
    state = node.api("GET", f"/api/v1/apps/{app}").json()
    addresses = next(c["addresses"] for c in state["components"] if c["name"] == component)
    return int(addresses[0].rpartition(":")[2])


def containers(engine: docker.APIClient, app: str) -> dict[str, str]:
    found = engine.containers(filters={"label": f"iarnet.app={app}"})
    return {each["Names"][0].lstrip("/"): each["Id"] for each in found}


def envoy(node: NodeProcess) -> psutil.Process:
    record: dict[str, Any] = json.loads((node.data / "gateway" / "process.json").read_text())
    return psutil.Process(record["pid"])


def test_a_new_revision_loses_no_request(running: NodeProcess, repositories: Path) -> None:
    source = application(repositories / "roll", server(command=greeting("one")))
    running.ok("deploy", source.url, "--name", "roll")
    with load(published(running, "roll")) as users:
        until(lambda: users.count > 20, "users come")
        source.write("iarnet.yaml", described(server(command=greeting("two", late=2)))).commit()
        running.ok("deploy", "roll")
        until(lambda: users.answers.get("two", 0) > 50, "users see the new one")
    assert users.failures == []
    assert set(users.answers) == {"one", "two"}


def test_neighbours_lose_no_request_either(
    running: NodeProcess, repositories: Path, engine: docker.APIClient
) -> None:
    back = server("back", greeting("one"), publish="false")
    front = server("front", FRONT, needs="[back]", publish="false", ports="[]", health="none", kind="worker")
    source = application(repositories / "inside", back, front)
    running.ok("deploy", source.url, "--name", "inside")
    asking = containers(engine, "inside")["iarnet-inside-front-r1-0"]
    back = server("back", greeting("two", late=2), publish="false")
    source.write("iarnet.yaml", described(back, front)).commit()
    running.ok("deploy", "inside")
    assert containers(engine, "inside")["iarnet-inside-front-r1-0"] == asking, "only what changed is replaced"
    assert "failed" not in engine.logs(asking).decode()


def test_a_killed_replica_costs_its_own_requests_only(
    running: NodeProcess, repositories: Path, engine: docker.APIClient
) -> None:
    source = application(repositories / "two", server(command=greeting("ok"), replicas="2"))
    running.ok("deploy", source.url, "--name", "two")
    with load(published(running, "two"), per_s=100) as users:
        until(lambda: users.count > 50, "users come")
        engine.kill(containers(engine, "two")["iarnet-two-web-r1-1"])
        seen = users.count
        until(lambda: users.count > seen + 200, "users go on")
    assert len(users.failures) <= 2, users.failures


def test_traffic_goes_on_without_the_node_and_its_envoy_comes_back(
    running: NodeProcess, repositories: Path, engine: docker.APIClient
) -> None:
    source = application(repositories / "alone", server(command=greeting("ok")))
    running.ok("deploy", source.url, "--name", "alone")
    before = containers(engine, "alone")
    port = published(running, "alone")
    leading = envoy(running)
    with load(port) as users:
        until(lambda: users.count > 20, "users come")
        running.kill()
        seen = users.count
        until(lambda: users.count > seen + 50, "users go on without the node")
        running.up()
        seen = users.count
        until(lambda: users.count > seen + 50, "users go on with the next node")
    assert users.failures == []
    assert envoy(running) == leading, "it was adopted"
    leading.kill()
    with load(port) as users:
        until(lambda: users.count > 20, "it is back")
    assert envoy(running) != leading
    assert containers(engine, "alone") == before, "no container is touched"
    source.write("iarnet.yaml", described(server(command=greeting("two")))).commit()
    running.ok("deploy", "alone")
    with load(port) as users:
        until(lambda: users.answers.get("two", 0) > 0, "it still hears from the node")
