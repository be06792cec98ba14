"""Two APIs and two workers on one Temporal and one store, both on PostgreSQL, as in `docker-compose.temporal.yml`."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import httpx
import pytest

from tests.e2e.busybox import SERVE, application, component, server, worker
from tests.e2e.engine import left
from tests.e2e.harness import until
from tests.e2e.test_crash import SLOW, containers, ended, runs, say_go
from tests.e2e.topology import Api, Topology, Worker, topology, up

pytestmark = [pytest.mark.e2e, pytest.mark.docker]


@dataclass(frozen=True)
class World:
    """`host` has the engine, which `one` can ask, too, until a test ends it for good."""

    topology: Topology
    host: Worker
    runner: Worker
    one: Api
    other: Api


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, docker_url: str) -> Iterator[World]:
    with topology(tmp_path_factory.mktemp("shared"), docker_url) as made:
        host = made.worker("host", docker_url)
        parts = host, made.worker("runner"), made.api("one", beside=host), made.api("other")
        with up(docker_url, *parts):
            yield World(made, *parts)


@pytest.fixture(scope="module")
def engine(docker_url: str) -> Iterator[docker.APIClient]:
    client = docker.APIClient(base_url=docker_url, version="auto")
    yield client
    client.close()


def test_what_one_api_begins_the_other_shows(world: World, repositories: Path, docker_url: str) -> None:
    source = application(repositories / "spread", server(command=SERVE.replace("'", "'echo it serves; ", 1)))
    world.one.ok("deploy", source.url, "--name", "spread")
    assert httpx.get(world.other.address("spread")).text == "ok\n"
    [instance] = world.other.api("GET", "/api/v1/apps/spread/instances").json()["instances"]
    assert instance["provider_id"] == f"docker-{world.host.name}"
    text = world.one.api("GET", "/api/v1/apps/spread/logs").json()
    assert (text["lines"][0]["text"], text["problems"]) == ("it serves", [])
    [problem] = world.other.api("GET", "/api/v1/apps/spread/logs").json()["problems"]
    assert instance["provider_id"] in problem["message"]
    world.other.ok("delete", "spread", "--yes")
    assert left(docker_url, "spread") == []


def test_both_workers_carry_runs(world: World) -> None:
    told = json.loads(world.topology.cli("task-queue", "describe", "--task-queue", "iarnet", "--output", "json"))
    pollers = {poller["identity"].split("@")[0] for poller in told["pollers"]}
    assert pollers == {world.host.name, world.runner.name}


def test_a_registered_provider_has_one_home_and_every_api_can_ask_it(world: World, docker_url: str) -> None:
    """Registered and removed by way of APIs that have no worker."""
    same = {"id": "again", "name": "The engine again", "type": "docker", "url": docker_url}
    added = world.other.api("POST", "/api/v1/providers", {**same, "config": {"gateway": "false"}})
    assert added.status_code == 201, added.text

    def taken() -> str:
        found = world.one.api("GET", "/api/v1/providers/again")
        return found.json()["info"]["home"] if found.is_success and found.json()["status"] == "active" else ""

    assert until(taken, "a worker takes it up") in {world.host.name, world.runner.name}

    def attached() -> int:
        said = [process.log.read_text() for process in (world.host, world.runner)]
        return sum(text.count('"event": "provider attached", "provider": "again"') for text in said)

    assert until(attached, "it says so") == 1
    for api in (world.one, world.other):
        until(
            lambda api=api: api.api("POST", "/api/v1/providers/again/test").json().get("reachable"), "it can be asked"
        )
    assert world.one.api("DELETE", "/api/v1/providers/again").status_code == 204

    def let_go() -> bool:
        said = [process.log.read_text() for process in (world.host, world.runner)]
        gone = world.other.api("GET", "/api/v1/providers/again").status_code == 404
        return gone and any('"event": "provider removed", "provider": "again"' in text for text in said)

    until(let_go, "its worker lets go of it")


def test_an_api_and_a_worker_die_and_nobody_waits_for_them(
    world: World, repositories: Path, engine: docker.APIClient
) -> None:
    slow = component("web", SLOW, kind="web", ports="[8080]", publish="true")
    source = application(repositories / "orphaned", slow, worker("second", needs="[web]"))
    world.one.ok("import", source.url, "--name", "orphaned")
    begun = world.one.api("POST", "/api/v1/apps/orphaned/deploy", {})
    until(lambda: runs(engine, "iarnet-orphaned-web-r1-0"), "the slow one starts")
    world.one.kill()
    world.runner.kill()
    say_go(engine, "iarnet-orphaned-web-r1-0")
    assert world.other.finished(begun)["status"] == "succeeded"
    assert httpx.get(world.other.address("orphaned") + "/go").is_success
    assert world.other.api("GET", "/api/v1/apps/orphaned").json()["status"] == "running"
    world.runner.up()


def test_what_a_node_alone_can_do_goes_on_when_it_is_back(
    world: World, repositories: Path, engine: docker.APIClient
) -> None:
    slow = component("web", SLOW, kind="web", ports="[8080]", publish="true")
    source = application(repositories / "patient", slow, worker("second", needs="[web]"))
    world.other.ok("deploy", source.url, "--name", "patient", "--detach")
    until(lambda: runs(engine, "iarnet-patient-web-r1-0"), "the slow one starts")
    before = containers(engine, "patient")
    world.host.kill()
    say_go(engine, "iarnet-patient-web-r1-0")
    assert world.other.api("GET", "/api/v1/apps/patient").json()["status"] == "deploying"
    world.host.up()
    assert ended(world.other, "patient")["status"] == "succeeded"
    after = containers(engine, "patient")
    assert {name: after[name] for name in before} == before, "no second container, none restarted"


def test_an_absent_node_is_an_error_with_its_name(world: World, repositories: Path) -> None:
    source = application(repositories / "absent", worker("alone"))
    world.other.ok("deploy", source.url, "--name", "absent")
    world.host.kill()
    done = world.other.cli("--json", "stop", "absent")
    assert done.code != 0
    failure = world.other.api("GET", "/api/v1/apps/absent").json()["deployment"]["failure"]
    assert failure["code"] == "NodeUnreachable", failure
    assert world.host.name in failure["message"], failure
    world.host.up()
    world.other.ok("stop", "absent")
