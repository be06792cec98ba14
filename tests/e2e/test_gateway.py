"""Traffic that never drops: instances are replaced, killed and mended while users ask."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import httpx
import psutil
import pytest

from iarnet.gateway import process
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
    return {each["Labels"]["iarnet.name"]: each["Id"] for each in found}


@dataclass
class Rotation:
    """When the gateway last sent something to an instance, or tried to, and when that was out of rotation."""

    tried: float = 0.0
    left: float = 0.0


@contextmanager
def rotation(node: NodeProcess, instance: str) -> Iterator[Rotation]:
    seen = Rotation()
    done = threading.Event()
    admin = httpx.HTTPTransport(uds=str(process.place(node.data / "gateway").admin))

    def look() -> None:
        before = 0
        with httpx.Client(transport=admin, base_url="http://envoy") as http:
            while not done.wait(0.005):
                found = http.get("/clusters", params={"format": "json"}).json()["cluster_statuses"]
                hosts = [host for cluster in found for host in cluster.get("host_statuses", [])]
                (host,) = (host for host in hosts if host.get("hostname") == instance)
                if host["health_status"] != {"eds_health_status": "HEALTHY"}:
                    seen.left = time.monotonic()
                    return
                stats = (stat for stat in host["stats"] if stat["name"] in ("rq_total", "cx_total"))
                if (now := sum(int(stat.get("value", 0)) for stat in stats)) > before:
                    seen.tried = time.monotonic()
                before = now

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


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


def test_routes_outlive_what_they_lead_to(running: NodeProcess, repositories: Path, engine: docker.APIClient) -> None:
    old = server("old", greeting("old"), publish="false")
    source = application(repositories / "ways", server(command=greeting("one")), old)
    running.ok("deploy", source.url, "--name", "ways")
    running.ok("routes", "add", "ways", "web", "--id", "ways-split", "--to", "web@1=50", "--to", "old=50")
    with load(published(running, "ways")) as users:
        until(lambda: set(users.answers) == {"one", "old"}, "both answer")
        source.write("iarnet.yaml", described(server(command=greeting("two", late=1)))).commit()
        planned = running.ok("plan", "ways", "--json").json
        running.ok("deploy", "ways")
        until(lambda: users.answers.get("two", 0) > 50, "users see the new one")
    assert users.failures == []
    told = "nobody takes HTTP requests to old:8080"
    assert [note for note in planned["notes"] if note.startswith(f"route ways-split: {told}")]
    added = next(r for r in running.ok("routes", "ways", "--json").json["routes"] if r["id"] == "ways-split")
    assert added["notes"][1].startswith(told)
    before = containers(engine, "ways")
    running.ok("deploy", "ways", "--set", "web.limits.requests=7")
    assert containers(engine, "ways") == before, "no instance knows of limits"
    derived = next(r for r in running.ok("routes", "ways", "--json").json["routes"] if r["derived"])
    assert derived["limits"]["requests"] == 7


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
        with rotation(running, "iarnet-two-web-r1-1") as dead:
            killed, seen = time.monotonic(), users.count
            engine.kill(containers(engine, "two")["iarnet-two-web-r1-1"])
            gone = time.monotonic()
            until(lambda: users.count > seen + 200, "users go on")
    assert dead.left, "it left the rotation"
    print(f"\nkilled: last tried after {max(0.0, dead.tried - killed) * 1000:.0f} ms, out of rotation after", end=" ")
    print(f"{(dead.left - killed) * 1000:.0f} ms, {len(users.failures)} requests failed")
    assert max(users.failed, default=0.0) < gone, "only what was on its way there"


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


def test_what_users_ask_shows_in_the_status(running: NodeProcess, repositories: Path) -> None:
    source = application(repositories / "seen", server(command=greeting("ok")))
    running.ok("deploy", source.url, "--name", "seen")

    def metrics() -> dict[str, Any]:
        found: dict[str, Any] = running.api("GET", "/application/apps/seen").json()["metrics"]
        return found

    assert metrics()["responseTime"] is None, "nobody has asked yet"
    with load(published(running, "seen")) as users:
        found = until(lambda: metrics()["requestsPerSecond"] and metrics()["responseTime"] and metrics(), "it shows")
        assert "/s " in running.ok("status", "seen").out
    assert found["requestsPerSecond"] > 0
    assert found["responseTime"] > 0
    assert found["errorRate"] == 0
    assert users.failures == []
    counted = 'iarnet_requests_total{app="seen",component="web",code_class="2xx"}'
    assert f"{counted} {users.count}" in running.api("GET", "/metrics").text.splitlines()
