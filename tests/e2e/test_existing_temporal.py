"""A node against a Temporal that was there before it, with its store on PostgreSQL."""

import asyncio
import json
import secrets
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from iarnet.config import load_settings
from iarnet.errors import IarnetError, Missing
from tests.contract import postgres
from tests.e2e.busybox import application, server
from tests.e2e.elsewhere import line
from tests.e2e.engine import left
from tests.e2e.harness import PROGRAMS, NodeProcess, node, until
from tests.integration.remote_engine import Authority, mutual_tls
from workers.temporal import connection

pytestmark = [pytest.mark.e2e, pytest.mark.docker]

ATTRIBUTES = {"IarnetApp", "IarnetNode", "IarnetCause", "IarnetRevision"}


@dataclass(frozen=True)
class Server:
    """Somebody else's Temporal."""

    process: subprocess.Popen[bytes]
    port: int

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def cli(self, *words: str) -> Any:
        command = [str(PROGRAMS / "temporal"), *words, "--address", self.address, "--output", "json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.startswith(("{", "[")) else done.stdout


@pytest.fixture(scope="module")
def temporal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    port, ui_port = free_port(), free_port()
    log = tmp_path_factory.mktemp("temporal") / "log"
    with log.open("wb") as output:
        command = ["server", "start-dev", "--ip", "127.0.0.1", "--port", str(port), "--ui-port", str(ui_port)]
        process = subprocess.Popen(
            [PROGRAMS / "temporal", *command, "--log-level", "error"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    made = Server(process, port)
    try:
        until(lambda: healthy(made), f"Temporal answers: {log.read_text()}")
        yield made
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    with postgres.cluster() as url:
        yield url


@contextmanager
def its_node(directory: Path, docker_url: str, postgresql: str, **temporal: str) -> Iterator[NodeProcess]:
    """`temporal`: keys of that section, in the form of variables."""
    database = f"iarnet_{secrets.token_hex(4)}"
    postgres.execute(postgresql, f"CREATE DATABASE {database}")
    with node(
        directory, docker_url, IARNET_DATABASE_URL=f"{postgresql}/{database}", **variables(temporal)
    ) as running:
        yield running


def test_it_brings_what_it_needs_and_leaves_the_rest_alone(
    tmp_path: Path, repositories: Path, docker_url: str, temporal: Server, postgresql: str
) -> None:
    with its_node(tmp_path, docker_url, postgresql, ADDRESS=temporal.address) as running:
        found = temporal.cli("operator", "namespace", "describe", "--namespace", "iarnet")
        assert days(found) == 30
        known = temporal.cli("operator", "search-attribute", "list", "--namespace", "iarnet")
        assert set(known["customAttributes"]) >= ATTRIBUTES, known
        doctor = {c["name"]: c for c in running.cli("doctor", "--json").json["checks"]}
        assert doctor["temporal"]["state"] == doctor["database"]["state"] == "ok", doctor
        lives(running, repositories, docker_url, "guest")
        runs = temporal.cli("workflow", "list", "--namespace", "iarnet", "--query", 'IarnetApp="guest"')
        assert {"DeployApp", "DeleteApp"} <= {run["type"]["name"] for run in runs}
        assert running.down() == 0
        assert not (running.data / "temporal").exists()
        assert not (running.data / "iarnet.db").exists()
    assert temporal.process.poll() is None
    assert healthy(temporal)


def test_over_tls_with_a_client_certificate(
    tmp_path: Path, repositories: Path, docker_url: str, temporal: Server, postgresql: str
) -> None:
    """In a namespace that others have made, which kept runs for a day only."""
    temporal.cli("operator", "namespace", "create", "--namespace", "theirs", "--retention", "24h")
    authority = Authority()
    files = certificates(tmp_path, authority)
    with line(temporal.address, terminating(tmp_path, authority)) as secured:
        settings = {"ADDRESS": f"127.0.0.1:{secured.port}", "NAMESPACE": "theirs", **files}
        with its_node(tmp_path / "node", docker_url, postgresql, **settings) as running:
            lives(running, repositories, docker_url, "sealed")
    assert days(temporal.cli("operator", "namespace", "describe", "--namespace", "theirs")) == 30


def test_a_node_that_gets_no_temporal_ends_and_says_why(tmp_path: Path) -> None:
    never = NodeProcess(tmp_path, "none", extra=variables({"ADDRESS": "127.0.0.1:1"}))
    done = never.cli("--json", "up", timeout_s=60)
    assert done.code == 1
    error = json.loads(done.err.splitlines()[-1])["error"]
    assert (error["code"], error["where"]) == ("Missing", "temporal.address")
    assert error["message"] == "Temporal at 127.0.0.1:1 can't be used: nothing listens there."


async def test_what_can_not_be_used_is_said_in_bounded_time(tmp_path: Path, temporal: Server) -> None:
    """Nothing here may wait for ever; the silent one is given up by a limit of ours."""
    ours, theirs = certificates(tmp_path / "ours", Authority()), Authority()
    right = certificates(tmp_path / "theirs", theirs)
    with line(temporal.address, terminating(tmp_path, theirs)) as secured, socket.create_server(("", 0)) as silent:
        tls = f"127.0.0.1:{secured.port}"
        nobody = f"127.0.0.1:{silent.getsockname()[1]}"
        cases: list[tuple[dict[str, str], str]] = [
            ({"ADDRESS": "no.invalid:7233"}, "there is no such host"),
            ({"ADDRESS": nobody}, "it does not answer"),
            ({"ADDRESS": tls}, "it ends the connection"),
            ({"ADDRESS": tls, **ours}, "its certificate is not to be trusted"),
            ({"ADDRESS": tls, **right, "TLS__SERVER_NAME": "else.example"}, "its certificate is for another name"),
            ({"ADDRESS": temporal.address, **right}, "it does not speak TLS"),
        ]
        told = await asyncio.gather(*(refusal_of(tmp_path, given) for given, _ in cases))
    assert [error.message.split("can't be used: ")[1] for error in told] == [f"{why}." for _, why in cases]
    assert all(isinstance(error, Missing) and error.hint for error in told)


async def test_a_certificate_that_can_not_be_read_is_named(tmp_path: Path, temporal: Server) -> None:
    settings = {"ADDRESS": temporal.address, "TLS__ENABLED": "true", "TLS__CA_FILE": "/no/ca.pem"}
    error = await refusal_of(tmp_path, settings)
    assert (error.code, error.where) == ("InvalidConfig", "temporal.tls.ca_file")


def lives(running: NodeProcess, repositories: Path, docker_url: str, app: str) -> None:
    """A whole life on this node, with nothing left of it."""
    source = application(repositories / app, server())
    running.ok("deploy", source.url, "--name", app)
    assert httpx.get(running.address(app)).text == "ok\n"
    running.ok("delete", app, "--yes")
    assert left(docker_url, app) == []


async def refusal_of(directory: Path, temporal: dict[str, str]) -> IarnetError:
    environ = {**variables(temporal), "IARNET_DATA_DIR": str(directory)}
    settings = load_settings(None, environ, {}, cwd=directory).settings
    with pytest.raises(IarnetError) as refused:
        async with connection(settings, "test@1"):
            pass
    return refused.value


def variables(temporal: dict[str, str]) -> dict[str, str]:
    return {f"IARNET_TEMPORAL__{key}": value for key, value in temporal.items()}


def certificates(directory: Path, authority: Authority) -> dict[str, str]:
    """Those of a client, as settings."""
    directory.mkdir(parents=True, exist_ok=True)
    certificate, key = authority.issue("node")
    files = {"CA_FILE": authority.pem, "CERT_FILE": certificate, "KEY_FILE": key}
    for name, text in files.items():
        (directory / f"{name}.pem").write_text(text)
    return {"TLS__ENABLED": "true", **{f"TLS__{name}": str(directory / f"{name}.pem") for name in files}}


def terminating(directory: Path, authority: Authority) -> ssl.SSLContext:
    """A server's side of TLS that speaks HTTP/2, as gRPC wants it."""
    folder = directory / "server"
    folder.mkdir()
    context = mutual_tls(authority, folder)
    context.set_alpn_protocols(["h2"])
    return context


def days(namespace: Any) -> float:
    """For how many finished runs are kept."""
    kept = namespace["config"]["workflowExecutionRetentionTtl"]
    return float(str(kept).removesuffix("s")) / 86400


def healthy(server: Server) -> bool:
    command = [str(PROGRAMS / "temporal"), "operator", "cluster", "health", "--address", server.address]
    assert psutil.pid_exists(server.process.pid)
    return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
