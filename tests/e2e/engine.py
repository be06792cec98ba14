"""What a test sees on the engine itself, past everything of ours."""

import re
import time

import docker

from iarnet.providers.docker.spec import OWNER
from tests.contract.docker_engine import sweep

_FORGOTTEN_S = 2 * 3600


def left(docker_url: str, app: str) -> list[str]:
    """Everything that carries the app's label: containers, networks, volumes, images."""
    client = docker.APIClient(base_url=docker_url, version="auto")
    try:
        label = {"label": f"iarnet.app={app}"}
        return [
            *(c["Names"][0] for c in client.containers(all=True, filters=label)),
            *(n["Name"] for n in client.networks(filters=label)),
            *(v["Name"] for v in client.volumes(filters=label)["Volumes"] or ()),
            *(i["RepoTags"][0] for i in client.images(filters=label) if i["RepoTags"]),
        ]
    finally:
        client.close()


def sweep_forgotten(docker_url: str) -> None:
    """What a run has left that was killed: containers of test nodes that are older than any run takes."""
    client = docker.APIClient(base_url=docker_url, version="auto")
    try:
        ours = client.containers(all=True, filters={"label": OWNER})
        old = [c for c in ours if time.time() - c["Created"] > _FORGOTTEN_S]
        for owner in {c["Labels"][OWNER] for c in old if re.fullmatch(r"t[0-9a-f]{8}", c["Labels"][OWNER])}:
            sweep(client, owner)
    finally:
        client.close()
