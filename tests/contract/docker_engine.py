"""The Docker engine that the tests use, and the removal of what they leave there."""

import fcntl
import os
import re
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import docker
import docker.errors

from iarnet.providers.docker.spec import OWNER
from tests.conftest import missing

IMAGE = "busybox:stable"
# More at once make an engine slower.
_AT_ONCE = 4
# A node adds something of its own to its name.
_OWNERS = re.compile(r"(t(?:est-)?[0-9a-f]{8})(?:-[0-9a-f]{6})?")
_LOCKS = Path(tempfile.gettempdir()) / f"iarnet-tests-{os.getuid()}"


@cache
def engine_url() -> str:
    """An engine where nothing is left of runs that were killed: its names would be in the way of this one's.

    Skips where no engine answers or the base image is missing, which CI must not do.
    """
    url = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    try:
        client: Any = docker.APIClient(base_url=url, version="auto")
        client.inspect_image(IMAGE)
        _sweep_forgotten(client)
        client.close()
    except docker.errors.DockerException as e:
        missing(f"a Docker engine with {IMAGE} at {url} ({e}; set DOCKER_HOST)")
    return url


@contextmanager
def swept(url: str, owner: str) -> Iterator[docker.APIClient]:
    """A client of the tests' own; at the end nothing of the owner's is left."""
    client = docker.APIClient(base_url=url, version="auto")
    with _locked(owner, fcntl.LOCK_SH):
        try:
            yield client
        finally:
            sweep(client, owner)
            client.close()


def _sweep_forgotten(client: docker.APIClient) -> None:
    found: list[dict[str, Any]] = [
        *client.containers(all=True, filters={"label": OWNER}),
        *client.networks(filters={"label": OWNER}),
        *(client.volumes(filters={"label": OWNER})["Volumes"] or ()),
    ]
    with _locked("sweep", fcntl.LOCK_EX):
        for owner in {match[1] for each in found if (match := _OWNERS.fullmatch(each["Labels"][OWNER]))}:
            try:
                with _locked(owner, fcntl.LOCK_EX | fcntl.LOCK_NB):
                    sweep(client, owner)
            except BlockingIOError:
                continue  # a test that runs now


def prune_networks(client: docker.APIClient, app: str) -> None:
    """An engine does one at a time, and refuses the second."""
    with _locked("prune", fcntl.LOCK_EX):
        client.prune_networks({"label": f"iarnet.app={app}"})  # type: ignore[no-untyped-call]


@contextmanager
def _locked(name: str, how: int) -> Iterator[None]:
    """It ends with this process, however that ends."""
    _LOCKS.mkdir(exist_ok=True)
    with (_LOCKS / name).open("w") as file:
        fcntl.flock(file, how)
        yield


def sweep(client: docker.APIClient, owner: str) -> None:
    """What belongs to it, or to a node of this name; and the images of applications that are named after it."""

    def mine(found: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
        return [each for each in found or () if each["Labels"][OWNER].startswith(owner)]

    owned = {"label": OWNER}
    containers = [each["Id"] for each in mine(client.containers(all=True, filters=owned))]
    networks = [each["Id"] for each in mine(client.networks(filters=owned))]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(lambda id: client.remove_container(id, force=True, v=True), containers))
        list(pool.map(lambda id: _remove_network(client, id), networks))
    for volume in mine(client.volumes(filters=owned)["Volumes"]):
        client.remove_volume(volume["Name"])
    for image in client.images(name=f"iarnet/*-{owner}"):
        client.remove_image(image["Id"], force=True)


def _remove_network(client: docker.APIClient, id: str) -> None:
    try:
        client.remove_network(id)
    except docker.errors.APIError:
        # Engine 20.10 sometimes counts endpoints that are gone; a network with real ones is a test's fault.
        if client.inspect_network(id)["Containers"]:
            raise
