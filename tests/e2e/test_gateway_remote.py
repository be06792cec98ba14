"""Traffic that never drops on an engine elsewhere: Envoy is there, and only the engine's own API leads to it."""

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from tests.contract.docker_engine import swept
from tests.e2e.busybox import application, described, server
from tests.e2e.elsewhere import line
from tests.e2e.harness import NodeProcess, until
from tests.e2e.load import load
from tests.e2e.test_gateway import containers, greeting, published
from tests.e2e.test_remote_provider import Box, listed, store_key
from tests.integration.remote_engine import Authority, mutual_tls

pytestmark = [pytest.mark.e2e, pytest.mark.docker]


@pytest.fixture
def engine(docker_url: str) -> Iterator[docker.APIClient]:
    with swept(docker_url, "nobody") as client:
        yield client


@pytest.fixture
def afar(tmp_path: Path, docker_url: str) -> Iterator[tuple[NodeProcess, Box]]:
    """A node without an engine of its own, and one behind TLS."""
    (tmp_path / "served").mkdir()
    authority, made = Authority(), NodeProcess(tmp_path / "node", "none")
    with line(docker_url, mutual_tls(authority, tmp_path / "served")) as wire, swept(docker_url, made.name):
        box = Box(tmp_path, wire, authority)
        try:
            made.up()
            store_key(made, box)
            assert box.add(made, "far").code == 0
            yield made, box
        finally:
            made.end()


def test_a_new_revision_and_a_new_node_lose_no_request_there(
    afar: tuple[NodeProcess, Box], repositories: Path, engine: docker.APIClient
) -> None:
    node, box = afar
    assert listed(node)["far"]["info"]["capabilities"]["gateway"]
    source = application(repositories / "overseas", server(command=greeting("one")))
    node.ok("deploy", source.url, "--name", "overseas")
    port = published(node, "overseas")
    leading = gateway(engine, node)
    with load(port) as users:
        until(lambda: users.count > 20, "users come")
        source.write("iarnet.yaml", described(server(command=greeting("two", late=2)))).commit()
        node.ok("deploy", "overseas")
        until(lambda: users.answers.get("two", 0) > 20, "users see the new one")
        node.kill()
        seen = users.count
        until(lambda: users.count > seen + 50, "users go on without the node")
        node.up()
        seen = users.count
        until(lambda: users.count > seen + 50, "users go on with the next node")
        box.wire.cut()
        seen = users.count
        until(lambda: users.count > seen + 50, "users go on while the engine is out of reach")
        box.wire.mend()
        source.write("iarnet.yaml", described(server(command=greeting("three")))).commit()
        until(lambda: listed(node)["far"]["status"] == "active", "it is there again")
        node.ok("deploy", "overseas")
        until(lambda: users.answers.get("three", 0) > 20, "the next node leads it")
    assert users.failures == []
    assert gateway(engine, node) == leading, "it was the same all the time"
    counted = 'iarnet_requests_total{app="overseas",component="web",code_class="2xx"}'
    assert counted in node.api("GET", "/metrics").text
    node.ok("delete", "overseas", "--yes")
    assert containers(engine, "overseas") == {}
    node.ok("providers", "rm", "far", "--yes")
    assert engine.containers(all=True, filters={"label": f"iarnet.owner={node.owner}"}) == []


def gateway(engine: docker.APIClient, node: NodeProcess) -> str:
    (found,) = engine.containers(filters={"label": [f"iarnet.owner={node.owner}", "iarnet.gateway"]})
    return str(found["Id"])
