"""Every protocol with a real client and a real server, from outside and from a neighbour, while all are replaced."""

import secrets
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import docker
import pytest

from activities.deploying import _DRAIN_S
from tests.contract.docker_engine import swept
from tests.e2e.busybox import application, component, described, worker
from tests.e2e.engine import at
from tests.e2e.harness import NodeProcess, until
from tests.e2e.protocols.image import HERE, image
from tests.e2e.protocols.server import TICK_S

pytestmark = [pytest.mark.e2e, pytest.mark.docker]

SERVERS = {
    "web": ("web", 8080, "http"),
    "sockets": ("web", 8080, "websocket"),
    "calls": ("calls", 8080, "grpc"),
    "lines": ("lines", 9000, "tcp"),
    "packets": ("packets", 9000, "udp"),
}
"""Component -> what the server speaks there, the port, and what it is called in `iarnet.yaml`."""

STREAMS = {
    **{"web/http1": " over 1.1", "web/http2": " over 2", "web/websocket": "", "sockets/websocket": ""},
    **{"calls/calls": "", "lines/lines": ""},
}
"""What a client asks -> what it is told besides the word."""

DATAGRAMS = "packets/packets"

LEAST = 0.5 * _DRAIN_S / TICK_S
"""How often a stream is heard while it drains. A busy machine says it less often."""

CONNECTS = "{type: tcp, interval: 1s}"
HEALTH = {
    "packets": "{command: [test, -f, /tmp/ready], interval: 1s}",
    "calls": "{type: grpc, interval: 1s}",
}


@dataclass(frozen=True)
class Client:
    """`client.py`, by what it has printed so far."""

    printed: Callable[[], str]

    def heard(self) -> dict[str, list[tuple[str, str]]]:
        """What was asked -> `once`, `stream` or `long` and what came of it, in turn."""
        found = defaultdict(list)
        for line in self.printed().splitlines(keepends=True):
            if line.endswith("\n"):  # else it is still being printed
                name, length, said = line.rstrip().split(" ", 2)
                found[name].append((length, said))
        return found

    def has_heard(self, word: str) -> bool:
        heard = self.heard()
        streams = [
            (name, length, word + more) for name, more in STREAMS.items() for length in ("once", "stream", "long")
        ]
        datagrams = [(DATAGRAMS, length, word) for length in ("once", "long")]
        return all((length, said) in heard[name] for name, length, said in (*streams, *datagrams))


@pytest.fixture(scope="module")
def engine(docker_url: str) -> Iterator[docker.APIClient]:
    with swept(docker_url, "nobody") as client:
        yield client


@pytest.fixture(scope="module")
def picture(engine: docker.APIClient) -> Iterator[str]:
    with image(engine, f"iarnet-tests/protocols:{secrets.token_hex(4)}") as tag:
        yield tag


@contextmanager
def outside(node: NodeProcess, directory: Path) -> Iterator[Client]:
    """On the host, at the published ports."""
    addresses = (f"{name}=127.0.0.1:{node.address('protocols', name).rpartition(':')[2]}" for name in SERVERS)
    output = directory / "client.log"
    with output.open("wb") as log:
        client = subprocess.Popen([sys.executable, HERE / "client.py", *addresses], stdout=log)
    try:
        yield Client(output.read_text)
    finally:
        client.kill()
        client.wait()


def components(image: str, word: str) -> list[tuple[str, str]]:
    """A server for each, which says the word, and a neighbour that asks them by their names."""

    def server(name: str) -> tuple[str, str]:
        program, port, protocol = SERVERS[name]
        return component(
            name,
            f"python3 /server.py {program} {port} {word}",
            image=image,
            health=HEALTH.get(name, CONNECTS),
            kind="api",
            ports=f"[{{port: {port}, protocol: {protocol}}}]",
            publish="true",
            resources="{memory: 128Mi}",
        )

    places = " ".join(f"{name}={name}:{port}" for name, (_, port, _) in SERVERS.items())
    needs = f"[{', '.join(SERVERS)}]"
    asks = worker("asks", f"python3 /client.py {places}", image=image, needs=needs, resources="{memory: 128Mi}")
    return [*map(server, SERVERS), asks]


def test_no_protocol_loses_a_request_when_its_server_is_replaced(
    picture: str, running: NodeProcess, repositories: Path, engine: docker.APIClient, tmp_path: Path
) -> None:
    source = application(repositories / "protocols", *components(picture, "one"))
    running.ok("deploy", source.url, "--name", "protocols")
    (asking,) = (name for name in running.instances("protocols") if "-asks-" in name)
    with outside(running, tmp_path) as user:
        clients = (Client(lambda: engine.logs(at(engine, asking)).decode()), user)
        for client in clients:
            until(partial(client.has_heard, "one"), "all is heard of the first")
        source.write("iarnet.yaml", described(*components(picture, "two"))).commit()
        running.ok("deploy", "protocols")
        for client in clients:
            until(partial(client.has_heard, "two"), "all is heard of the second")
    assert asking in running.instances("protocols"), "only what changed is replaced"
    for client in clients:
        heard = client.heard()
        assert [(name, said) for name, told in heard.items() for _, said in told if "FAILED" in said] == []
        assert {said for _, said in heard[DATAGRAMS]} == {"one", "two"}, "also those of one socket"
        for name, more in STREAMS.items():
            drained = while_draining(heard[name], f"two{more}")
            assert set(drained) == {f"one{more}"}, f"{name} stays with who has begun it"
            assert len(drained) > LEAST, f"{name} ends no sooner than it must"
    running.ok("delete", "protocols", "--yes")


def while_draining(told: list[tuple[str, str]], newer: str) -> list[str]:
    """What a long stream says from when another instance answers until it is ended."""
    replaced = told.index(("once", newer))
    ended = next(n for n, (_, said) in enumerate(told) if said.startswith("ENDED"))
    return [said for length, said in told[replaced:ended] if length == "long"]
