"""The smallest applications there are: one shell, one image that every engine of the tests has."""

from pathlib import Path

from tests.contract.docker_engine import IMAGE
from tests.e2e.repository import Repository, repository

SERVE = "sh -c 'mkdir -p /tmp/pages && echo ok > /tmp/pages/index.html && exec httpd -f -p 8080 -h /tmp/pages'"
"""Serves `ok` on port 8080."""


def component(
    name: str, command: str, *, health: str = "{type: tcp, interval: 1s, retries: 2}", **more: str
) -> tuple[str, str]:
    """One entry of an `iarnet.yaml`; `more` are further keys, as YAML."""
    keys = {"image": IMAGE, "command": command, "health": health, "resources": "{memory: 16Mi}", **more}
    return name, f"  {name}:\n" + "".join(f"    {key}: {value}\n" for key, value in keys.items())


def server(name: str = "web", command: str = SERVE, **more: str) -> tuple[str, str]:
    return component(name, command, **{"kind": "web", "ports": "[8080]", "publish": "true", **more})


def worker(name: str, command: str = "sleep 1000000", **more: str) -> tuple[str, str]:
    """It serves nothing, and is well as long as it runs."""
    return component(name, command, **{"kind": "worker", "health": "none", **more})


def application(directory: Path, *components: tuple[str, str], **files: str) -> Repository:
    """A repository of these components; `files` as in `repository`."""
    return repository(directory, **{"iarnet.yaml": described(*components), **files})


def described(*components: tuple[str, str]) -> str:
    return "components:\n" + "".join(text for _, text in components)
