"""What a test sees on the engine itself, past everything of ours."""

import docker


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
