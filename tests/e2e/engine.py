"""What a test sees on the engine itself, past everything of ours."""

from typing import Any

import docker


def at(engine: docker.APIClient, instance: str) -> str:
    """The engine's ID of the container of an instance; empty while there is none."""
    found = engine.containers(all=True, filters={"label": f"iarnet.name={instance}"})
    return str(found[0]["Id"]) if found else ""


def left(docker_url: str, app: str) -> list[str]:
    """What carries the app's label: containers, networks, volumes, images; without the owner in their names."""
    client = docker.APIClient(base_url=docker_url, version="auto")
    try:
        label = {"label": f"iarnet.app={app}"}
        return [
            *(_unmarked(c["Names"][0], c) for c in client.containers(all=True, filters=label)),
            *(_unmarked(n["Name"], n) for n in client.networks(filters=label)),
            *(_unmarked(v["Name"], v) for v in client.volumes(filters=label)["Volumes"] or ()),
            *(i["RepoTags"][0] for i in client.images(filters=label) if i["RepoTags"]),
        ]
    finally:
        client.close()


def _unmarked(name: str, found: dict[str, Any]) -> str:
    return name.lstrip("/").replace(f".{found['Labels']['iarnet.owner']}", "")
