"""Domains whose certificates come from a real ACME server, on a node that is killed and restarted."""

import hashlib
import json
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.busybox import application, server
from tests.e2e.forked import ForkedNode
from tests.e2e.harness import NodeProcess, node, until
from tests.integration.gateway_world import free_port
from tests.integration.pebble_world import PebbleWorld, pebble_world

pytestmark = [pytest.mark.e2e, pytest.mark.docker]

HOST, LOST = "minted.example.org", "lost.example.org"


@dataclass(frozen=True)
class World:
    """A node, and an ACME server that asks it for proofs. Clients trust that server and nobody else."""

    node: NodeProcess
    pebble: PebbleWorld
    https_port: int
    trusting: ssl.SSLContext

    def greeted(self, host: str = HOST) -> tuple[str, str]:
        """The last line of the answer, and the SHA-256 of the certificate."""
        with (
            socket.create_connection(("127.0.0.1", self.https_port), timeout=30) as plain,
            self.trusting.wrap_socket(plain, server_hostname=host) as tls,
        ):
            tls.sendall(f"GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n".encode())
            answer = b"".join(iter(lambda: tls.recv(4096), b"")).decode()
            return answer.splitlines()[-1], hashlib.sha256(tls.getpeercert(binary_form=True) or b"").hexdigest()

    def answers(self, host: str) -> bool:
        """False while there is no handshake for it."""
        try:
            return self.greeted(host)[0] == "ok"
        except (ssl.SSLError, ConnectionResetError):
            return False

    def domain(self, host: str) -> Any:
        found = self.node.api("GET", "/api/v1/communication/domains").json()["domains"]
        return next((domain for domain in found if domain["host"] == host), None)

    def watch(self, host: str) -> str:
        """The status of its run."""
        told = self.node.temporal("workflow", "describe", "--workflow-id", f"certificate.{host}", "-o", "json")
        return str(json.loads(told.out)["workflowExecutionInfo"]["status"])


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory, docker_url: str) -> AsyncIterator[World]:
    folder, http_port, https_port = tmp_path_factory.mktemp("node"), free_port(), free_port()
    async with pebble_world(folder, http_port) as pebble:
        settings = {
            "IARNET_GATEWAY__HTTP_PORT": str(http_port),
            "IARNET_GATEWAY__HTTPS_PORT": str(https_port),
            "IARNET_GATEWAY__ACME__DIRECTORY": pebble.directory,
            "IARNET_GATEWAY__ACME__CA_BUNDLE": str(pebble.ca_bundle),
            "IARNET_GATEWAY__ACME__AGREE": "true",
        }
        with node(folder / "node", docker_url, kind=ForkedNode, **settings) as running:
            trusting = ssl.create_default_context(cadata=await pebble.root())
            yield World(running, pebble, https_port, trusting)


@pytest.fixture(scope="module")
def minted(world: World, tmp_path_factory: pytest.TempPathFactory) -> None:
    source = application(tmp_path_factory.mktemp("repository") / "minted", server(publish="false"))
    world.node.ok("deploy", source.url, "--name", "minted")
    added = world.node.ok("domains", "add", HOST, "minted", "web", "--acme")
    assert added.out.strip().endswith("ready")


async def test_a_refusal_is_told_and_concerns_nobody_else(world: World, minted: None) -> None:
    await world.pebble.lose(LOST)
    refused = world.node.cli("domains", "add", LOST, "minted", "web", "--acme")
    assert refused.code != 0
    assert LOST in refused.err
    assert "The name must lead to this machine" in refused.err
    assert world.domain(LOST)["state"] == "failed"
    assert world.greeted()[0] == "ok"
    await world.pebble.find(LOST)
    world.node.temporal("workflow", "signal", "--workflow-id", f"certificate.{LOST}", "--name", "changed")
    until(lambda: world.domain(LOST)["state"] == "ready", "it has a certificate when it is tried again")
    until(lambda: world.answers(LOST), "a moment after that it is used")


async def test_a_restarted_node_watches_what_nobody_watches(world: World, minted: None) -> None:
    before = world.greeted()
    world.node.kill()
    world.node.temporal("workflow", "terminate", "--workflow-id", f"certificate.{HOST}")
    assert world.greeted() == before
    world.node.up()
    until(lambda: world.watch(HOST).endswith("RUNNING"), "its certificate is watched again")
    until(lambda: world.greeted() != before, "a new one is in use")
    assert world.greeted()[0] == "ok"


async def test_nothing_is_left_of_the_domains_of_an_app_that_is_deleted(world: World, minted: None) -> None:
    world.node.ok("delete", "minted", "--yes")
    until(lambda: world.watch(HOST).endswith("COMPLETED"), "its watch has ended")
    assert world.domain(HOST) is None
    kept = json.loads(world.node.ok("secrets", "ls", "--json").out)["names"]
    assert [name for name in kept if name.startswith(f"tls/{HOST}")] == []
    assert any(name.startswith("acme/") for name in kept)
