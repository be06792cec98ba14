"""Where applications run, as it looks from outside of the node."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import docker

from chaos import memory
from chaos.node import WORLD, up
from iarnet.providers.docker.spec import APP, COMPONENT, NAME, OWNER
from iarnet.providers.memory import MemoryProvider
from tests.contract.docker_engine import IMAGE, engine_url, swept
from tests.e2e.forked import ForkedNode
from tests.e2e.harness import NodeProcess


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
    """`pause_s`: from when everything answers to the next kill, at least and at most."""

    name: str
    node: NodeProcess
    pause_s: tuple[float, float]

    def found(self) -> list[Found]: ...

    def others(self) -> list[tuple[str, str]]:
        """App and name of everything else that was made for one, such as networks."""
        ...


@dataclass
class MemoryWorld:
    node: NodeProcess
    provider: MemoryProvider
    name: str = "memory"
    pause_s: tuple[float, float] = (0.1, 1.2)

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
class DockerWorld:
    node: NodeProcess
    engine: docker.APIClient
    name: str = "Docker"
    pause_s: tuple[float, float] = (0.3, 4.0)

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
            yield MemoryWorld(made, provider)
        finally:
            made.end()


@contextmanager
def on_docker(folder: Path) -> Iterator[DockerWorld]:
    url = engine_url()
    made = ForkedNode(folder / "node", url)
    with swept(url, made.name) as engine:
        try:
            made.up()
            yield DockerWorld(made, engine)
        finally:
            made.end()


WORLDS: dict[str, Callable[[Path], AbstractContextManager[World]]] = {"memory": in_memory, "Docker": on_docker}
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
