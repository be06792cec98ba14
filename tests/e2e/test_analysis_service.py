"""One document everywhere: the command line, the API and gRPC say the same of a repository."""

import secrets
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from iarnet.analysers import messages, reading
from iarnet.analysis.document import document
from tests.e2e.forked import ForkedNode
from tests.e2e.harness import NodeProcess, until
from tests.e2e.repository import Repository, example

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """Its analyser is one that it reaches over gRPC: itself. What is analysed for it goes over the wire."""
    folder = tmp_path_factory.mktemp("node")
    address = f"127.0.0.1:{9100 + secrets.randbelow(800)}"  # below those that the kernel hands out
    extra = {
        "IARNET_PEER_LISTEN_ADDR": address,
        "IARNET_ANALYSIS__ADDRESS": address,
        "IARNET_ANALYSIS__TIMEOUT_S": "90",
        "IARNET_ANALYSIS__TOKEN_FILE": str(folder / "data" / "token"),
        "IARNET_GATEWAY__ENABLED": "false",
    }
    made = ForkedNode(folder, "none", extra=extra)
    try:
        made.up()
        until((made.data / "grpc_address").exists, f"gRPC answers: {made.tail()}")
        yield made
    finally:
        made.end()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return example("shop", tmp_path_factory.mktemp("repositories"))


@pytest.fixture(scope="module")
def here(node: NodeProcess, shop: Repository) -> dict[str, Any]:
    """What this program says by itself, without any node."""
    found: dict[str, Any] = node.ok("analyze", str(shop.path), "--json").json
    assert len(found["components"]) > 3
    return found


def over_grpc(node: NodeProcess, path: str) -> dict[str, Any]:
    metadata = [("authorization", f"Bearer {node.token}")]
    with grpc.insecure_channel(node.environment["IARNET_PEER_LISTEN_ADDR"]) as channel:
        call = channel.unary_unary(messages.METHOD)
        answer = call(messages.request(path), metadata=metadata, timeout=60)
    return document(reading.analysis(messages.answered(answer)))


def test_a_repository_that_is_not_imported(node: NodeProcess, shop: Repository, here: dict[str, Any]) -> None:
    answer = node.api("POST", "/api/v1/analyses", {"url": shop.url})
    assert (answer.status_code, answer.json()) == (200, here)
    assert node.ok("analyze", shop.url, "--json").json == here
    assert node.api("GET", "/api/v1/apps").json()["apps"] == []
    assert list((node.data / "workspaces" / "analyses").iterdir()) == []


def test_what_the_node_may_see(node: NodeProcess) -> None:
    for path in ("nothing.git", ".keys", "/etc"):
        with pytest.raises(grpc.RpcError):
            over_grpc(node, path)


def test_an_application(node: NodeProcess, shop: Repository, here: dict[str, Any]) -> None:
    node.ok("import", shop.url, "--name", "said-alike")
    assert over_grpc(node, "said-alike.git") == here
    assert node.ok("analyze", "said-alike", "--json").json == here
    documented = node.api("POST", "/application/apps/said-alike/analyze").json()
    fields = ("id", "name", "type", "language", "framework")
    assert [{name: each[name] for name in fields} for each in documented["components"]] == [
        {name: each[name] for name in fields} for each in here["components"]
    ]
    edges = [{name: each[name] for name in ("from", "to", "type")} for each in here["dag"]["edges"]]
    assert documented["dag"]["edges"] == edges


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"url": "ftp://example.org/x"}, 400, "InvalidUrl"),
        ({"url": "https://example.org/x.git", "subdir": "../x"}, 400, "InvalidInput"),
        ({"url": "https://example.org/x.git", "credential": "none"}, 404, "NotFound"),
        ({"url": "file:///no/such/repository"}, 404, "RepositoryNotFound"),
    ],
)
def test_what_can_t_be_analysed(node: NodeProcess, body: dict[str, str], status: int, code: str) -> None:
    answer = node.api("POST", "/api/v1/analyses", body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["hint"]
