"""Where applications run, as it looks from outside of the node."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import docker

from chaos import kills, memory
from chaos.kills import Blow
from chaos.node import WORLD, up
from iarnet.providers.docker.spec import APP, COMPONENT, NAME, OWNER
from iarnet.providers.memory import MemoryProvider
from tests.contract.docker_engine import IMAGE, engine_url, swept
from tests.e2e.forked import ForkedNode
from tests.e2e.harness import NodeProcess

BACK_S = 120.0
"""What was away for a while is used again by then."""


@dataclass(frozen=True)
class Found:
    """An instance. `word` is what it has in its environment."""

    name: str
    app: str
    component: str
    replica: int
    word: str
    running: bool


class World(Protocol):
    """`pause_s`: from when everything answers to the next blow, at least and at most."""

    name: str
    node: NodeProcess
    blows: Sequence[Blow]
    pause_s: tuple[float, float]

    def found(self) -> list[Found]: ...

    def others(self) -> list[tuple[str, str]]:
        """App and name of everything else that was made for one, such as networks."""
        ...

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Of the store."""
        ...


class WithSqlite:
    node: NodeProcess

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with sqlite3.connect(f"file:{self.node.data / 'iarnet.db'}?mode=ro", uri=True) as store:
            return store.execute(query).fetchall()


@dataclass
class MemoryWorld(WithSqlite):
    node: NodeProcess
    provider: MemoryProvider
    blows: Sequence[Blow]
    name: str = "memory"
    pause_s: tuple[float, float] = (0.1, 0.8)

    def found(self) -> list[Found]:
        return [
            Found(
                spec.name,
                spec.app,
                spec.component,
                spec.replica,
                next((env.value or "" for env in spec.env if env.name == "WORD"), ""),
                instance.state == "running",
            )
            for spec, instance in self.provider.all()
        ]

    def others(self) -> list[tuple[str, str]]:
        networks = [(app, f"network of {app}") for app in set(self.provider.networks)]
        return [*networks, *((volume.partition("/")[0], volume) for volume in set(self.provider.volumes))]


@dataclass
class DockerWorld(WithSqlite):
    node: NodeProcess
    engine: docker.APIClient
    blows: Sequence[Blow]
    name: str = "Docker"
    pause_s: tuple[float, float] = (0.2, 2.0)

    def found(self) -> list[Found]:
        listed = self.engine.containers(all=True, filters={"label": [f"{OWNER}={self.node.owner}", NAME]})
        return [self._described(each) for each in listed]

    def others(self) -> list[tuple[str, str]]:
        mine = {"label": [f"{OWNER}={self.node.owner}", APP]}
        networks = self.engine.networks(filters=mine)
        volumes = self.engine.volumes(filters=mine)["Volumes"] or ()
        return [(each["Labels"][APP], each["Name"]) for each in (*networks, *volumes)]

    def _described(self, container: dict[str, Any]) -> Found:
        labels = container["Labels"]
        environment = self.engine.inspect_container(container["Id"])["Config"]["Env"]
        word = next((entry.removeprefix("WORD=") for entry in environment if entry.startswith("WORD=")), "")
        replica = int(labels[NAME].rpartition("-")[2])
        return Found(labels[NAME], labels[APP], labels[COMPONENT], replica, word, container["State"] == "running")


@contextmanager
def in_memory(folder: Path) -> Iterator[MemoryWorld]:
    socket = folder / "world.sock"
    extra = {"IARNET_GATEWAY__ENABLED": "false", WORLD: str(socket)}
    made = ForkedNode(folder / "node", "none", extra=extra, run=up)
    with memory.world(socket) as provider:
        try:
            made.up()
            yield MemoryWorld(made, provider, kills.of_node(made))
        finally:
            made.end()


@contextmanager
def on_docker(folder: Path) -> Iterator[DockerWorld]:
    url = engine_url()
    made = ForkedNode(folder / "node", url)
    with swept(url, made.name) as engine:
        try:
            made.up()
            yield DockerWorld(made, engine, kills.of_node(made))
        finally:
            made.end()


def reaches(made: NodeProcess, provider: str) -> bool:
    """Whether the node gets an answer of it now."""
    tested = made.api("POST", f"/api/v1/providers/{provider}/test")
    return bool(tested.is_success and tested.json()["reachable"])


DESCRIBED = f"""components:
  front:
    image: {IMAGE}
    command: httpd -f -p 8080 -h /etc
    kind: web
    ports: [8080]
    needs: [back]
    health: {{type: tcp, interval: 1s, retries: 2}}
    resources: {{memory: 16Mi}}
  back:
    image: {IMAGE}
    command: httpd -f -p 8080 -h /etc
    kind: web
    ports: [8080]
    health: {{type: tcp, interval: 1s, retries: 2}}
    resources: {{memory: 16Mi}}
"""
