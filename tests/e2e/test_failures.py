"""What goes wrong on the way: one clear error with the last words, nothing half-done that isn't shown, and a retry
goes on once the cause is gone."""

import json
import socket
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import docker
import httpx
import pytest

from tests.contract.docker_engine import IMAGE, swept
from tests.e2e.busybox import SERVE, application, component, described, server, worker
from tests.e2e.cut_engine import way_to
from tests.e2e.engine import at
from tests.e2e.forked import ForkedNode
from tests.e2e.harness import Done, NodeProcess, node, until
from tests.e2e.leftovers import unaccounted
from tests.e2e.refusing import failure, refusal, refused
from tests.e2e.repository import repository

pytestmark = [pytest.mark.e2e, pytest.mark.docker]

SLOW = "sh -c 'while ! test -e /tmp/go; do sleep 0.1; done; exec httpd -f -p 8080 -h /tmp'"


@pytest.fixture(scope="module")
def engine(docker_url: str) -> Iterator[docker.APIClient]:
    with swept(docker_url, "nobody") as client:
        yield client


def held_port() -> socket.socket:
    """A program that is not ours listens."""
    listener = socket.socket()
    listener.bind(("0.0.0.0", 0))
    listener.listen()
    return listener


def states(running: NodeProcess) -> set[str]:
    return {p["status"] for p in running.api("GET", "/api/v1/providers").json()["providers"]}


def test_a_dockerfile_that_fails(running: NodeProcess, repositories: Path) -> None:
    broken = f"FROM {IMAGE}\nRUN echo the reason is here && exit 7\nCMD sleep 1000000\n"
    built = "web", "  web: {build: ., dockerfile: Dockerfile, kind: worker, health: none}\n"
    source = application(repositories / "build", built, worker("other"), Dockerfile=broken)
    error = refused(running, "deploy", source.url, "--name", "build", code="BuildFailed", status=1)
    assert error["component"] == "web"
    assert error["where"] == "Dockerfile"
    assert "exit 7" in error["message"]
    assert "the reason is here" in "\n".join(error["log"])
    assert "the reason is here" in running.ok("logs", "build", "web", "--build").out
    assert unaccounted(running, "build") == []
    assert failure(running, "build")["code"] == "BuildFailed"

    kept = running.instances("build")
    source.replace("Dockerfile", "exit 7", "exit 0").commit()
    running.ok("deploy", "build")
    after = running.instances("build")
    assert {name: id for name, id in after.items() if name in kept} == kept
    assert "iarnet-build-web-r2-0" in after


def test_a_component_that_never_becomes_healthy(running: NodeProcess, repositories: Path) -> None:
    says = component(
        "web",
        "sh -c 'echo waiting for nothing; exec sleep 1000000'",
        kind="web",
        ports="[8080]",
        publish="true",
        health="{path: /index.html, start_period: 2s}",
    )
    source = application(repositories / "never", says, worker("other"))
    error = refused(running, "deploy", source.url, "--name", "never", code="NotReady", status=1)
    assert error["component"] == "web"
    assert "not ready within 2 s" in error["message"]
    assert "refused" in error["message"].lower()
    assert error["log"] == ["waiting for nothing"]
    assert list(running.instances("never")) == ["iarnet-never-other-r1-0"], "the healthy one stays for the retry"
    assert unaccounted(running, "never") == []
    assert refused(running, "retry", "never", code="NotReady", status=1)["component"] == "web"

    source.write("iarnet.yaml", described(server(), worker("other"))).commit()
    kept = running.instances("never")
    running.ok("deploy", "never")
    assert httpx.get(running.address("never")).text == "ok\n"
    assert running.instances("never")["iarnet-never-other-r1-0"] == kept["iarnet-never-other-r1-0"]


def test_a_component_that_ends_at_once(running: NodeProcess, repositories: Path) -> None:
    source = application(repositories / "ends", server(command="sh -c 'echo no such luck; exit 3'"))
    error = refused(running, "deploy", source.url, "--name", "ends", code="InstanceExited", status=1)
    assert "exit code 3" in error["message"]
    assert error["log"] == ["no such luck"]
    assert running.instances("ends") == {}
    assert unaccounted(running, "ends") == []


def test_a_port_that_something_else_holds(running: NodeProcess, repositories: Path) -> None:
    source = application(repositories / "port", server())
    with closing(held_port()) as listener:
        port = listener.getsockname()[1]
        words = ("deploy", source.url, "--name", "port", "--set", f"web.publish={port}")
        error = refused(running, *words, code="PortTaken", status=5)
        assert f"Port {port}" in error["message"]
        assert "another program" in error["message"]
        assert "web.publish=auto" in error["hint"]
        assert unaccounted(running, "port") == []
        assert failure(running, "port", settings={"web.publish": str(port)})["code"] == "PortTaken"
    running.ok("fork", "port", "--set", f"web.publish={port}")
    assert running.address("port").endswith(f":{port}")

    second = application(repositories / "port-too", server())
    words = ("deploy", second.url, "--name", "port-too", "--set", f"web.publish={port}")
    assert "web of the app port" in refused(running, *words, code="PortTaken", status=5)["message"]
    assert unaccounted(running, "port-too") == []


def test_a_preferred_port_gives_way_and_says_so(running: NodeProcess, repositories: Path) -> None:
    with closing(held_port()) as listener:
        port = listener.getsockname()[1]
        served = f'services:\n  web:\n    image: {IMAGE}\n    command: {SERVE}\n    ports: ["{port}:8080"]\n'
        source = repository(repositories / "prefer", **{"compose.yaml": served})
        result = running.ok("--json", "deploy", source.url, "--name", "prefer").json["result"]
        assert any(f"port {port} is taken" in note for note in result["notes"]), result
        assert httpx.get(running.address("prefer")).text == "ok\n"


def test_an_image_that_cant_be_had(running: NodeProcess, repositories: Path) -> None:
    missing = worker("web", image="registry.invalid/nobody/nothing:1")
    source = application(repositories / "image", missing)
    error = refused(running, "deploy", source.url, "--name", "image", code="ImageUnavailable", status=1)
    assert "registry.invalid/nobody/nothing:1" in error["message"]
    assert error["component"] == "web"
    assert running.instances("image") == {}
    assert unaccounted(running, "image") == []
    assert failure(running, "image")["code"] == "ImageUnavailable"

    source.write("iarnet.yaml", described(worker("web"))).commit()
    running.ok("deploy", "image")


def test_docker_stops_in_the_middle(
    tmp_path: Path, repositories: Path, docker_url: str, engine: docker.APIClient
) -> None:
    slow = component("web", SLOW, kind="web", ports="[8080]", publish="true", needs="[first]")
    source = application(repositories / "cut", worker("first"), slow)
    with (
        way_to(docker_url) as way,
        node(tmp_path / "node", docker_url, kind=ForkedNode, IARNET_DOCKER__HOST=way.url) as cut,
    ):
        begun = json.loads(cut.ok("--json", "deploy", source.url, "--name", "cut", "--detach").out)
        web = "iarnet-cut-web-r1-0"
        until(lambda: engine.containers(filters={"label": f"iarnet.name={web}"}), "the second one starts")
        first = cut.instances("cut")["iarnet-cut-first-r1-0"]
        way.cut()

        def progress() -> dict[str, object]:
            found: dict[str, object] = cut.api("GET", begun["follow"]).json()
            return found if found["status"] != "running" else {}

        def retried() -> Done | None:
            """The watch may be trying already to move what it has lost; then a retry has to wait its turn."""
            done = cut.cli("--json", "retry", "cut")
            return done if done.code != 5 else None

        failed = until(progress, "the change ends", within_s=120)
        assert failed["status"] == "failed"
        told = failed["failure"]
        assert isinstance(told, dict)
        assert told["code"] == "ProviderUnavailable"
        assert "Docker" in told["message"]
        assert "Docker" in told["hint"]
        assert cut.cli("providers", "test", "local-docker").code == 1
        assert {web, "iarnet-cut-first-r1-0"} >= set(cut.instances("cut")) >= {"iarnet-cut-first-r1-0"}
        assert unaccounted(cut, "cut") == [], "what could not be undone is shown"
        until(lambda: states(cut) == {"unreachable"}, "the node knows")
        assert "can't be reached" in refusal(until(retried, "a retry has its turn"), "NoRoom", 1)["message"]

        way.restore()
        until(lambda: cut.cli("providers", "test", "local-docker").code == 0, "it is back")
        # Now it may be healing.
        until(lambda: cut.cli("retry", "cut", "--detach").code in (0, 5), "somebody goes on")

        def ended_well() -> bool:
            """Whoever goes on may start the second one anew: then it has to be told once more."""
            with suppress(docker.errors.DockerException):
                engine.exec_start(engine.exec_create(at(engine, web), ["touch", "/tmp/go"])["Id"])
            return bool(cut.api("GET", "/api/v1/apps/cut").json()["status"] == "running")

        until(ended_well, "the change ends well")
        assert cut.instances("cut")["iarnet-cut-first-r1-0"] == first, "what was done is not done again"
        assert unaccounted(cut, "cut") == []
