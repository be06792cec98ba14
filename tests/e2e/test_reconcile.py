"""What is on an engine and should not be goes, what should be and is not comes back, and nobody else is touched."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest

from tests.contract.docker_engine import IMAGE, swept
from tests.e2e.busybox import application, server, worker
from tests.e2e.cut_engine import Way, way_to
from tests.e2e.engine import at, left
from tests.e2e.forked import ForkedNode
from tests.e2e.harness import NodeProcess, node, until

pytestmark = [pytest.mark.e2e, pytest.mark.docker]


@pytest.fixture(scope="module")
def engine(docker_url: str) -> Iterator[docker.APIClient]:
    with swept(docker_url, "a stranger") as client:
        yield client


@pytest.fixture(scope="module")
def way(docker_url: str) -> Iterator[Way]:
    with way_to(docker_url) as made:
        yield made


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, way: Way) -> Iterator[NodeProcess]:
    """A node whose engine can be taken from it."""
    with node(tmp_path_factory.mktemp("node"), way.url, kind=ForkedNode) as made:
        yield made
        way.cut()  # also where a test has left it cut
        way.restore()


class Hand:
    """Makes things on the engine, past the node; those of strangers are gone at the end."""

    def __init__(self, engine: docker.APIClient, owner: str) -> None:
        self.engine, self.owner = engine, owner
        self.strangers: list[str] = []

    def instance(self, app: str, component: str, *, called: str = "") -> str:
        name = f"iarnet-{app}-{component}-r1-0"
        labels = {"owner": self.owner, "app": app, "name": name, "component": component, "spec": "0" * 16}
        numbers = {"revision": "1", "replica": "0", "epoch": "1", "ports": ""}
        return self._run(called or f"{name}.{self.owner}", {f"iarnet.{k}": v for k, v in (labels | numbers).items()})

    def stranger(self, called: str, network: str = "none", **labels: str) -> str:
        made = self._run(called, {f"iarnet.{key}": value for key, value in labels.items()}, network)
        self.strangers.append(made)
        return made

    def network(self, app: str) -> str:
        made = self.engine.create_network(f"iarnet-{app}.{self.owner}", "bridge", labels=self._mine(app))
        return str(made["Id"])

    def volume(self, app: str, component: str) -> str:
        name = f"iarnet-{app}-{component}-data.{self.owner}"
        labels = self._mine(app) | {"iarnet.component": component}
        return str(self.engine.create_volume(name, labels=labels)["Name"])

    def mine(self) -> list[str]:
        """The names of all that is ours and not of an app that runs."""
        label = {"label": f"iarnet.owner={self.owner}"}
        found = [
            *self.engine.containers(all=True, filters=label),
            *self.engine.networks(filters=label),
            *(self.engine.volumes(filters=label)["Volumes"] or ()),
        ]
        return sorted(each["Id"] if "Id" in each else each["Name"] for each in found)

    def runs(self, id: str) -> bool:
        return bool(self.engine.inspect_container(id)["State"]["Running"])

    def _mine(self, app: str) -> dict[str, str]:
        return {"iarnet.owner": self.owner, "iarnet.app": app}

    def _run(self, name: str, labels: dict[str, str], network: str = "none") -> str:
        given = self.engine.create_host_config(network_mode=network, init=True)
        made = self.engine.create_container(IMAGE, ["sleep", "10000"], name=name, labels=labels, host_config=given)
        self.engine.start(made["Id"])
        return str(made["Id"])


@pytest.fixture
def hand(running: NodeProcess, engine: docker.APIClient) -> Iterator[Hand]:
    made = Hand(engine, running.owner)
    yield made
    for id in made.strangers:
        engine.remove_container(id, force=True)


def reconciled(node: NodeProcess, *words: str, code: int = 0) -> list[dict[str, Any]]:
    """What `iarnet reconcile` says of the engine."""
    done = node.cli("--json", "reconcile", *words)
    assert done.code == code, done.out + done.err
    [report] = done.json["providers"]
    found: list[dict[str, Any]] = report["findings"]
    return found


def looks_by_itself(node: NodeProcess) -> bool:
    """As a node does when it starts, or when its engine is back."""
    told = node.temporal("workflow", "describe", "-w", "reconcile.local-docker", "-o", "json").json
    return bool(told["workflowExecutionInfo"]["status"] == "WORKFLOW_EXECUTION_STATUS_RUNNING")


def removals(node: NodeProcess, app: str) -> list[str]:
    events = node.api("GET", f"/api/v1/apps/{app}/events").json()["events"]
    return [event["message"] for event in events if event["kind"] == "reconcile.remove"]


def test_after_a_kill_all_is_right_again_and_nobody_else_is_touched(
    running: NodeProcess, repositories: Path, engine: docker.APIClient, hand: Hand
) -> None:
    source = application(repositories / "lasting", server(), worker("db", volumes="{data: /data}"))
    running.ok("deploy", source.url, "--name", "lasting")
    assert reconciled(running) == []
    before = running.instances("lasting")
    as_it_should_be = hand.mine()
    lost = "iarnet-lasting-web-r1-0"

    running.kill()
    engine.remove_container(at(engine, lost), force=True)
    hand.instance("lasting", "web", called=f"second-{hand.owner}")  # of the name of what is lost
    hand.instance("lasting", "left")
    hand.instance("vanished", "web")
    hand.network("vanished")
    data = hand.volume("vanished", "db")
    strangers = [
        hand.stranger(f"iarnet-lasting-api-r1-0.{hand.owner}"),
        hand.stranger(f"iarnet-vanished-db-r1-0.{hand.owner}", owner="a stranger", name="iarnet-vanished-db-r1-0"),
    ]
    running.up()

    def is_right() -> bool:
        again = running.instances("lasting").get(lost)
        return again != before[lost] and set(hand.mine()) == {*as_it_should_be, again, data} - {before[lost]}

    until(is_right, "what is lost is back, and what nobody wants is gone")
    assert all(hand.runs(id) for id in strangers)
    until(lambda: running.api("GET", "/api/v1/apps/lasting").json()["status"] == "running", "the change has ended")
    until(lambda: httpx.get(running.address("lasting")).text == "ok\n", "it answers")
    until(lambda: len(removals(running, "vanished")) == 2, "its story says so, of the instance and the network")

    [kept] = reconciled(running, "--dry-run", "--remove-volumes")
    assert (kept["action"], kept["name"], kept["outcome"]) == ("remove", "db/data", "")
    assert [f["action"] for f in reconciled(running)] == ["keep"]
    assert running.cli("--json", "reconcile", "--remove-volumes").code == 3, "somebody has to be asked"
    assert [f["outcome"] for f in reconciled(running, "--remove-volumes", "--yes")] == ["done"]
    assert reconciled(running) == []
    assert data not in hand.mine()


def test_what_a_stranger_uses_is_left_and_said(running: NodeProcess, hand: Hand) -> None:
    until(lambda: not looks_by_itself(running), "nobody but us looks")
    network = hand.network("squatted")
    stranger = hand.stranger(f"squatter-{hand.owner}", network=network)
    [shown] = reconciled(running, "--dry-run")
    assert (shown["kind"], shown["action"], shown["reason"]) == ("network", "remove", "squatted is gone")
    [left] = reconciled(running, code=1)
    assert left["outcome"] == "failed"
    assert f"squatter-{hand.owner}" in left["problem"]
    assert hand.runs(stranger)
    hand.engine.remove_container(hand.strangers.pop(), force=True)
    assert "removed" not in running.ok("reconcile", "--dry-run").out
    done = running.ok("reconcile")
    assert "squatted is gone" in done.out
    assert network not in hand.mine()
    assert "all is as it should be" in running.ok("reconcile").out
    assert running.cli("reconcile", "--provider", "nowhere").code == 4


def test_what_was_stopped_while_its_engine_was_away_ends_when_it_is_back(
    running: NodeProcess, repositories: Path, way: Way, docker_url: str
) -> None:
    running.ok("deploy", application(repositories / "halted", worker("one")).url, "--name", "halted")
    way.cut()
    until(lambda: status_of(running) == "unreachable", "the engine is missed")
    # Its watch may be trying already to move it; then a person has to wait their turn.
    until(lambda: running.cli("stop", "halted").code == 0, "it is stopped")
    assert left(docker_url, "halted")
    way.restore()
    until(lambda: not left(docker_url, "halted"), "nothing of it is left")
    until(lambda: running.api("GET", "/api/v1/apps/halted").json()["status"] == "stopped", "the change has ended")
    assert reconciled(running, "--dry-run") == []


def status_of(running: NodeProcess) -> str:
    [provider] = running.api("GET", "/api/v1/providers").json()["providers"]
    return str(provider["status"])
