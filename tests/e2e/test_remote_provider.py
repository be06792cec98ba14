"""An engine elsewhere as a provider, and a node whose own engine is not there."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.contract.docker_engine import swept
from tests.e2e.busybox import application, server, worker
from tests.e2e.elsewhere import Line, line
from tests.e2e.engine import left
from tests.e2e.harness import PROGRAMS, Done, NodeProcess, until
from tests.e2e.repository import repository
from tests.integration.remote_engine import Authority, mutual_tls

pytestmark = [pytest.mark.e2e, pytest.mark.docker]

KEY = "keys/box"


class Box:
    """An engine behind TLS that lets in whom one authority has signed."""

    def __init__(self, directory: Path, wire: Line, authority: Authority) -> None:
        self.directory, self.wire = directory, wire
        self.url = f"tcp://127.0.0.1:{wire.port}"
        self.signed("", authority)

    def signed(self, prefix: str, authority: Authority) -> tuple[str, str]:
        """Files of a client that this authority has signed: certificate and key."""
        certificate, key = authority.issue("node")
        self.write(f"{prefix}ca.pem", authority.pem)
        self.write(f"{prefix}cert.pem", certificate)
        self.write(f"{prefix}key.pem", key)
        return certificate, key

    def write(self, name: str, text: str) -> None:
        (self.directory / name).write_text(text)

    def add(self, running: NodeProcess, name: str, *, prefix: str = "", secret: str = KEY) -> Done:
        files = (f"ca_cert=@{self.directory}/{prefix}ca.pem", f"client_cert=@{self.directory}/{prefix}cert.pem")
        values = [word for file in files for word in ("--config-value", file)]
        return running.cli("--json", "providers", "add", name, self.url, *values, "--secret", f"client_key={secret}")


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory, docker_url: str) -> Iterator[Box]:
    directory, authority = tmp_path_factory.mktemp("box"), Authority()
    served = directory / "served"
    served.mkdir()
    with line(docker_url, mutual_tls(authority, served)) as wire:
        yield Box(directory, wire, authority)


@pytest.fixture(scope="module")
def engineless(tmp_path_factory: pytest.TempPathFactory, docker_url: str, box: Box) -> Iterator[NodeProcess]:
    """A node that has no engine of its own, and the key to one elsewhere."""
    with without_engine(tmp_path_factory.mktemp("node"), docker_url, "none") as running:
        store_key(running, box)
        yield running


@contextmanager
def without_engine(directory: Path, docker_url: str, host: str) -> Iterator[NodeProcess]:
    """`docker_url` is swept for what it deploys, though it does not know that engine as its own."""
    made = NodeProcess(directory, host)
    with swept(docker_url, made.name):
        try:
            made.up()
            yield made
        finally:
            made.end()


def test_a_wrong_certificate_or_key_registers_nothing(engineless: NodeProcess, box: Box) -> None:
    _, key = box.signed("wrong-", Authority())
    stored(engineless, "keys/wrong", key)
    stranger = refused(box.add(engineless, "stranger", prefix="wrong-", secret="keys/wrong"))
    assert (stranger["code"], stranger["where"]) == ("ProviderUnavailable", "stranger")
    assert "certificate" in stranger["message"].lower()
    assert "certificate" in stranger["hint"]
    mixed = refused(box.add(engineless, "mixed", secret="keys/wrong"))
    assert mixed["code"] in ("ProviderUnavailable", "InvalidInput")
    assert refused(box.add(engineless, "keyless", secret="keys/none"))["code"] == "NotFound"
    assert refused(box.add(engineless, "local-docker"))["code"] == "InvalidInput"
    dark = engineless.cli(
        "--json", "providers", "add", "dark", "tcp://127.0.0.1:1", "--config-value", "insecure=true"
    )
    assert refused(dark)["code"] == "ProviderUnavailable"
    names = {"stranger", "mixed", "keyless", "local-docker", "dark"}
    assert not names & listed(engineless).keys()
    engineless.ok("secrets", "rm", "keys/wrong", "--yes")


def test_nothing_can_be_placed_before_there_is_a_provider(engineless: NodeProcess, repositories: Path) -> None:
    source = application(repositories / "ashore", worker("one"))
    failed = engineless.cli("--json", "deploy", source.url, "--name", "ashore")
    assert failed.code != 0
    progress = engineless.api("GET", "/api/v1/apps/ashore").json()
    error = progress["deployment"]["failure"]
    assert error["code"] == "NoRoom"
    assert "providers add" in error["hint"]
    engineless.ok("delete", "ashore", "--yes")


def test_a_life_on_an_engine_elsewhere(
    engineless: NodeProcess, box: Box, repositories: Path, docker_url: str
) -> None:
    added = box.add(engineless, "box")
    assert added.code == 0, added.err
    assert refused(box.add(engineless, "box"))["code"] == "AlreadyExists"
    health = engineless.ok("--json", "providers", "test", "box").json
    assert health["reachable"]
    state = until(
        lambda: listed(engineless)["box"]["status"] == "active" and listed(engineless)["box"], "it is there"
    )
    assert state["info"]["origin"] == "external"
    assert state["capacity"]["total"]["memory_bytes"] > 0

    source = application(repositories / "afar", server())
    engineless.ok("deploy", source.url, "--name", "afar")
    assert engineless.api("GET", "/api/v1/apps/afar/instances").json()["instances"][0]["provider_id"] == "box"
    assert httpx.get(engineless.address("afar")).text == "ok\n"
    assert "box" in engineless.ok("why", "afar", "web").out

    held = refused(engineless.cli("--json", "providers", "rm", "box", "--yes"))
    assert (held["code"], held["message"]) == ("Conflict", "box runs afar.")
    assert listed(engineless)["box"]["status"] == "active"

    engineless.ok("delete", "afar", "--yes")
    assert left(docker_url, "afar") == []
    engineless.ok("providers", "rm", "box", "--yes")
    assert "box" not in listed(engineless)
    assert refused(engineless.cli("--json", "providers", "rm", "box", "--yes"))["code"] == "NotFound"


def test_what_has_to_be_built_needs_an_engine_of_the_node(
    engineless: NodeProcess, box: Box, repositories: Path, docker_url: str
) -> None:
    assert box.add(engineless, "builder").code == 0
    source = repository(repositories / "built", Dockerfile='FROM busybox:stable\nCMD ["sleep", "1000"]\n')
    assert engineless.cli("deploy", source.url, "--name", "built").code != 0
    failure = engineless.api("GET", "/api/v1/apps/built").json()["deployment"]["failure"]
    assert failure["code"] == "Missing"
    assert "no Docker engine to build with" in failure["message"]
    assert "docker.host" in failure["hint"]
    engineless.ok("delete", "built", "--yes")
    assert left(docker_url, "built") == []
    engineless.ok("providers", "rm", "builder", "--yes")


def test_a_provider_that_is_gone_for_good_can_be_removed(
    engineless: NodeProcess, repositories: Path, docker_url: str
) -> None:
    with line(docker_url) as wire:
        url = f"tcp://127.0.0.1:{wire.port}"
        engineless.ok("providers", "add", "burnt", url, "--config-value", "insecure=true")
        engineless.ok("deploy", application(repositories / "ash", worker("one")).url, "--name", "ash")
        wire.cut()
        engineless.ok("providers", "rm", "burnt", "--yes")
    assert listed(engineless) == {}
    assert engineless.instances("ash") == {}
    engineless.ok("delete", "ash", "--yes")


def test_a_provider_whose_secret_is_gone_comes_back_with_it(
    engineless: NodeProcess, repositories: Path, docker_url: str, box: Box
) -> None:
    """The node starts without it, says what is wrong, and takes it up again by itself."""
    assert box.add(engineless, "lost").code == 0
    engineless.ok("deploy", application(repositories / "kept", server()).url, "--name", "kept")
    engineless.ok("secrets", "rm", KEY, "--yes")
    assert engineless.down() == 0
    engineless.up()
    state = listed(engineless)["lost"]
    assert (state["status"], KEY in state["health"]["problem"]) == ("unreachable", True)
    tried = engineless.cli("--json", "providers", "test", "lost")
    assert (tried.code, KEY in tried.json["problem"]) == (1, True)
    assert httpx.get(engineless.address("kept")).text == "ok\n"
    store_key(engineless, box)
    until(lambda: listed(engineless)["lost"]["status"] == "active", "it is taken up again")
    engineless.ok("delete", "kept", "--yes")
    assert left(docker_url, "kept") == []


def test_an_engine_that_comes_up_later_is_found(tmp_path: Path, repositories: Path, docker_url: str) -> None:
    """Without a restart: to place on, and to build with. And nothing is placed on it when it is no longer used."""
    socket_path = tmp_path / "docker.sock"
    with without_engine(tmp_path / "node", docker_url, f"unix://{socket_path}") as running:
        state = listed(running)["local-docker"]
        assert (state["status"], str(socket_path) in state["health"]["problem"]) == ("unreachable", True)
        assert state["health"]["hint"]
        doctor = {c["name"]: c for c in running.cli("doctor", "--json").json["checks"]}
        assert doctor["docker"]["state"] == "fail"
        assert "No Docker engine answers" in running.log.read_text()
        dockerfile = "FROM busybox:stable\nRUN mkdir /w && echo late > /w/index.html\nEXPOSE 8080\n"
        dockerfile += 'CMD ["httpd", "-f", "-p", "8080", "-h", "/w"]\n'
        source = repository(repositories / "late", Dockerfile=dockerfile)
        assert running.cli("deploy", source.url, "--name", "late").code != 0
        failure = running.api("GET", "/api/v1/apps/late").json()["deployment"]["failure"]
        assert (failure["code"], "local-docker" in failure["message"]) == ("NoRoom", True)
        assert "Start Docker" in failure["hint"]

        socket_path.symlink_to(docker_url.removeprefix("unix://"))
        until(lambda: listed(running)["local-docker"]["status"] == "active", "the engine is found")
        running.ok("retry", "late")
        assert httpx.get(running.address("late")).text == "late\n"
        running.ok("delete", "late", "--yes")
        assert left(docker_url, "late") == []

        running.down()
        running.extra["IARNET_DOCKER__HOST"] = "none"
        running.up()
        assert running.cli("deploy", source.url, "--name", "unplaced").code != 0
        failure = running.api("GET", "/api/v1/apps/unplaced").json()["deployment"]["failure"]
        assert (failure["code"], "no Docker of this machine" in failure["message"]) == ("NoRoom", True)


def test_the_mode_for_clusters_is_refused_by_name(tmp_path: Path) -> None:
    never = NodeProcess(tmp_path, "none")
    refusal = refused(never.cli("--json", "up", "--mode", "k8s"))
    assert (refusal["code"], refusal["where"]) == ("Missing", "mode")
    assert "no Kubernetes provider" in refusal["message"]
    assert not never.data.exists()


def store_key(running: NodeProcess, box: Box) -> None:
    stored(running, KEY, (box.directory / "key.pem").read_text())


def stored(running: NodeProcess, name: str, value: str) -> None:
    command = [str(PROGRAMS / "iarnet"), "secrets", "set", name]
    subprocess.run(command, env=running.environment, input=value, text=True, timeout=60, check=True)


def listed(running: NodeProcess) -> dict[str, Any]:
    return {state["info"]["id"]: state for state in running.api("GET", "/api/v1/providers").json()["providers"]}


def refused(done: Done) -> dict[str, Any]:
    assert done.code not in (0, 2), done
    error: dict[str, Any] = json.loads(done.err.splitlines()[-1])["error"]
    assert error["hint"], error
    return error
