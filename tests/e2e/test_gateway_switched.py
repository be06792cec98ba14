"""The gateway is turned on and off under an application that runs, which is deployed after each."""

from collections.abc import Iterator
from pathlib import Path

import docker
import httpx
import pytest

from tests.contract.docker_engine import swept
from tests.e2e.busybox import application, described, server, worker
from tests.e2e.engine import at
from tests.e2e.forked import ForkedNode
from tests.e2e.harness import NodeProcess, node, until
from tests.e2e.test_gateway import greeting, published

pytestmark = [pytest.mark.e2e, pytest.mark.docker]

SWITCH = "IARNET_GATEWAY__ENABLED"


@pytest.fixture
def engine(docker_url: str) -> Iterator[docker.APIClient]:
    with swept(docker_url, "nobody") as client:
        yield client


@pytest.fixture
def switched(tmp_path: Path, docker_url: str) -> Iterator[NodeProcess]:
    """A node without a gateway."""
    with node(tmp_path / "node", docker_url, kind=ForkedNode, **{SWITCH: "false"}) as made:
        yield made


def switch(node: NodeProcess, *, on: bool) -> None:
    node.kill()
    node.extra[SWITCH] = str(on).lower()
    node.up()
    until(lambda: has_gateway(node) == on, f"the gateway is {'on' if on else 'off'}")


def has_gateway(node: NodeProcess) -> bool:
    (local,) = node.api("GET", "/api/v1/providers").json()["providers"]
    return bool(local["status"] == "active" and local["info"]["capabilities"]["gateway"])


class Turned:
    """An application of a server and of who asks it."""

    def __init__(self, node: NodeProcess, engine: docker.APIClient, repositories: Path) -> None:
        self._node = node
        self._engine = engine
        self._source = application(repositories / "turned", *self._components(greeting("one")))
        node.ok("deploy", self._source.url, "--name", "turned")
        self.port = published(node, "turned")

    def deploy(self, word: str) -> str:
        """A new revision; what its plan says."""
        self._write(greeting(word))
        said = self._node.ok("plan", "turned").out
        self._node.ok("deploy", "turned")
        return said

    def fail(self) -> None:
        """A revision that does not come up; all that ran goes on as it is."""
        before = self._node.containers("turned")
        self._write("sh -c 'exit 3'")
        assert self._node.cli("deploy", "turned", "--on-failure", "rollback").code != 0
        assert self._node.containers("turned") == before

    @property
    def answer(self) -> str:
        """What users are told."""
        return httpx.get(f"http://127.0.0.1:{self.port}/", timeout=10).text.strip()

    @property
    def heard(self) -> str:
        """What its neighbour is told."""
        (instance,) = (name for name in self._node.instances("turned") if "-ask-" in name)
        ask = ["wget", "-q", "-O", "-", "http://web:8080/"]
        said: bytes = self._engine.exec_start(self._engine.exec_create(at(self._engine, instance), ask)["Id"])
        return said.decode().strip()

    @property
    def is_published_by_itself(self) -> bool:
        return bool(self._engine.containers(filters={"publish": f"{self.port}/tcp"}))

    def _write(self, command: str) -> None:
        self._source.write("iarnet.yaml", described(*self._components(command))).commit()

    def _components(self, command: str) -> tuple[tuple[str, str], ...]:
        return server(command=command), worker("ask", needs="[web]")


def test_the_gateway_is_turned_on_and_off_under_what_runs(
    switched: NodeProcess, engine: docker.APIClient, repositories: Path
) -> None:
    app = Turned(switched, engine, repositories)
    assert (app.answer, app.heard, app.is_published_by_itself) == ("one", "one", True)

    switch(switched, on=True)
    switched.ok("deploy", "turned")
    assert (app.answer, app.heard, app.is_published_by_itself) == ("one", "one", False), "the same revision, led to"

    switch(switched, on=False)
    assert app.answer == "one", "what is led to is led to until it is deployed without"
    app.fail()
    assert (app.answer, app.heard, app.is_published_by_itself) == ("one", "one", False)
    assert f"host port {app.port} passes from the gateway to web itself" in app.deploy("two")
    assert (app.answer, app.heard, app.is_published_by_itself) == ("two", "two", True)
