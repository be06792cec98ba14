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
from tests.e2e.busybox import application, server, worker
from tests.e2e.engine import at
from tests.e2e.forked import ForkedNode
from tests.e2e.harness import HTTP, NodeProcess, node

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
    """Over the gateway's address and every other address of the host: not one port of the API, Temporal and its UI.
    Of Envoy, it reaches what is served, and Envoy listens to nothing else."""
    source = application(repositories / "within", server())
    running.ok("deploy", source.url, "--name", "within")
    name = at(engine, "iarnet-within-web-r1-0")
    published = urlsplit(running.address("within")).port
    assert process_ports(running.data / "gateway" / "process.json") == {8080, published}
    assert running.process
    temporal = running.data / "temporal" / "temporal.json"
    ports = listening(running.process.pid) | process_ports(temporal)
    assert {urlsplit(running.url).port, *ports_in(temporal)} <= ports

    def answers(host: str, port: int | None) -> bool:
        """Whether anything listens there for the container."""
        made = engine.exec_create(name, ["nc", "-w", "3", host, str(port), "-e", "true"])["Id"]
        engine.exec_start(made)
        return bool(engine.exec_inspect(made)["ExitCode"] == 0)

    hosts = addresses(engine, name)
    assert all(answers(host, published) for host in hosts), "every way to the host is open: the check means something"
    assert [f"{host}:{port}" for host in hosts for port in ports if answers(host, port)] == []


def test_a_container_needs_a_token_where_the_node_listens_for_it(
    docker_url: str, tmp_path: Path, engine: docker.APIClient
) -> None:
    wide = {"IARNET_LISTEN_ADDR": ":0", "IARNET_INSECURE_LISTEN": "true", "IARNET_ALLOWED_HOSTS": '["node.example"]'}
    with node(tmp_path / "wide", docker_url, kind=ForkedNode, **wide) as open_node:
        source = application(tmp_path / "outward", worker("asks"))
        open_node.ok("deploy", source.url, "--name", "outward")
        name, port = at(engine, "iarnet-outward-asks-r1-0"), urlsplit(open_node.url).port

        def told(host: str, path: str, **headers: str) -> str:
            given = [word for key, value in headers.items() for word in ("--header", f"{key}: {value}")]
            made = engine.exec_create(name, ["wget", "-S", "-O", "-", *given, f"http://{host}:{port}{path}"])["Id"]
            return str(engine.exec_start(made).decode())

        for host in addresses(engine, name):
            ours = {"Host": "node.example"}
            assert " 200 OK" in told(host, "/api/health"), "the way is open"
            assert " 401 " in told(host, "/api/v1/apps", **ours)
            assert " 401 " in told(host, "/api/v1/apps", **ours, Authorization="Bearer wrong")
            right = {"Authorization": f"Bearer {open_node.token}"}
            assert " 403 " in told(host, "/api/v1/apps", **right), "nor under any name"
            assert '"outward"' in told(host, "/api/v1/apps", **ours, **right)


def addresses(engine: docker.APIClient, container: str) -> list[str]:
    """All at which the container may look for this host, but for the networks of other applications, which come and
    go with the tests that run meanwhile."""
    network = next(iter(engine.inspect_container(container)["NetworkSettings"]["Networks"].values()))
    stay = {name: found for name, found in psutil.net_if_addrs().items() if not name.startswith("br-")}
    own = {a.address for found in stay.values() for a in found if a.family == AF_INET}
    return sorted({network["Gateway"], *own} - {"127.0.0.1"})


def process_ports(record: Path) -> set[int]:
    return listening(json.loads(record.read_text())["pid"])


def ports_in(temporal: Path) -> set[int]:
    known = json.loads(temporal.read_text())
    return {known["port"], known["ui_port"]}


def listening(pid: int) -> set[int]:
    found = psutil.Process(pid).net_connections("tcp")
    return {each.laddr.port for each in found if each.status == psutil.CONN_LISTEN}
