"""Who may speak to the node: nobody without its token, and nothing that runs in a container."""

import json
from collections.abc import Iterator
from pathlib import Path
from socket import AF_INET
from urllib.parse import urlsplit

import docker
import psutil
import pytest

from tests.contract.docker_engine import swept
from tests.e2e.busybox import application, server
from tests.e2e.harness import HTTP, NodeProcess

pytestmark = [pytest.mark.e2e, pytest.mark.docker]


@pytest.fixture(scope="module")
def engine(docker_url: str) -> Iterator[docker.APIClient]:
    with swept(docker_url, "nobody") as client:
        yield client


@pytest.mark.parametrize(
    ("headers", "status", "code", "where"),
    [
        ({}, 401, "Unauthorized", "Authorization"),
        ({"Authorization": "Bearer wrong"}, 401, "Unauthorized", "Authorization"),
        ({"Authorization": "Bearer"}, 401, "Unauthorized", "Authorization"),
        ({"Authorization": "Basic TOKEN"}, 401, "Unauthorized", "Authorization"),
        ({"Authorization": "Bearer TOKEN", "Host": "evil.example"}, 403, "Forbidden", "Host"),
        ({"Authorization": "Bearer TOKEN", "Origin": "https://evil.example"}, 403, "Forbidden", "Origin"),
        ({"Authorization": "Bearer TOKEN", "Origin": "null"}, 403, "Forbidden", "Origin"),
    ],
)
def test_strangers_are_refused(
    running: NodeProcess, headers: dict[str, str], status: int, code: str, where: str
) -> None:
    given = {name: value.replace("TOKEN", running.token) for name, value in headers.items()}
    for method, path in (("GET", "/api/v1/apps"), ("POST", "/api/v1/apps"), ("GET", "/application/apps")):
        answer = HTTP.request(method, f"{running.url}{path}", headers=given, json={} if method == "POST" else None)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert (problem["code"], problem["where"]) == (code, where)
        assert problem["hint"]
        assert running.token not in answer.text


def test_the_command_line_says_what_is_wrong_with_its_token(running: NodeProcess) -> None:
    refused = running.cli("--json", "--token", "wrong", "apps", "ls")
    assert refused.code == 3
    assert json.loads(refused.err)["error"]["code"] == "Unauthorized"


def test_a_deployed_container_reaches_nothing_of_the_node(
    running: NodeProcess, repositories: Path, engine: docker.APIClient
) -> None:
    """Over the gateway's address and every other address of the host."""
    source = application(repositories / "within", server())
    running.ok("deploy", source.url, "--name", "within")
    name = "iarnet-within-web-r1-0"
    network = next(iter(engine.inspect_container(name)["NetworkSettings"]["Networks"].values()))
    own = {a.address for addresses in psutil.net_if_addrs().values() for a in addresses if a.family == AF_INET}
    temporal = json.loads((running.data / "temporal" / "temporal.json").read_text())
    ports = [urlsplit(running.url).port, temporal["port"], temporal["ui_port"]]
    published = urlsplit(running.address("within")).port

    def answers(host: str, port: int | None) -> bool:
        """Whether anything listens there for the container."""
        made = engine.exec_create(name, ["nc", "-w", "3", host, str(port), "-e", "true"])["Id"]
        engine.exec_start(made)
        return bool(engine.exec_inspect(made)["ExitCode"] == 0)

    assert answers(network["Gateway"], published), "the way to the host is open, so that the check means something"
    reached = [f"{h}:{p}" for h in sorted({network["Gateway"], *own} - {"127.0.0.1"}) for p in ports if answers(h, p)]
    assert reached == []
