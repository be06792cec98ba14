"""What there is to rage in, and how many kills of a storm each gets."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from chaos.disk import on_small_disk
from chaos.engine import on_own_engine
from chaos.servers import on_servers
from chaos.wires import on_far_engine
from chaos.worlds import World, in_memory, on_docker

WORLDS: dict[str, Callable[[Path], AbstractContextManager[World]]] = {
    "memory": in_memory,
    "Docker": on_docker,
    "servers": on_servers,
    "dockerd": on_own_engine,
    "full disk": on_small_disk,
    "network": on_far_engine,
}


@dataclass(frozen=True)
class Storm:
    """`about`: what happens in it. `shares` of the kills in each world; `apps`: people in each. With `enough` kills
    the `report` is kept."""

    about: str
    shares: Mapping[str, float]
    report: str
    enough: int = 50
    apps: int = 3


STORMS = {
    "kills": Storm(
        "the node (worker and API), its Temporal, or both are killed with SIGKILL",
        {"memory": 0.6, "Docker": 0.4},
        "chaos.md",
        enough=1000,
    ),
    "servers": Storm(
        "a worker, an API, the Temporal and the PostgreSQL that they share, or all four are killed with SIGKILL",
        {"servers": 1},
        "chaos-servers.md",
    ),
    "dockerd": Storm(
        "the Docker engine, which ends what it ran, the node, or both are killed with SIGKILL",
        {"dockerd": 1},
        "chaos-dockerd.md",
    ),
    "disk": Storm(
        "the disk of the data directory is full for up to 15 s, after some of which the node is killed, too",
        {"full disk": 1},
        "chaos-disk.md",
    ),
    "network": Storm(
        "the way to an engine elsewhere is cut for up to 8 s or silent for up to 12 s, or the node is killed",
        {"network": 1},
        "chaos-network.md",
    ),
}
