"""Where a node runs: on a machine of its own, or in a Kubernetes cluster."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from iarnet.config import Settings
from iarnet.errors import Missing
from iarnet.providers.registry import LOCAL

Mode = Literal["standalone", "k8s"]

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
"""What Kubernetes gives to every pod that may speak to it."""


def detect(mode: Literal["", "standalone", "k8s"], environ: Mapping[str, str], *, service_account: bool) -> Mode:
    """What was set; else `k8s` where a cluster has left both its address and an account for us."""
    if mode:
        return mode
    return "k8s" if environ.get("KUBERNETES_SERVICE_HOST") and service_account else "standalone"


def settled(settings: Settings, environ: Mapping[str, str]) -> Settings:
    """With a `mode` that is no longer empty. Raises `Missing` for one that this version can't be in."""
    if settings.mode == "k8s":
        raise Missing(
            "The mode k8s was asked for, and this version has no Kubernetes provider.",
            where="mode",
            hint="Leave `mode` empty or set it to standalone, also in a cluster; "
            "Docker engines are connected with `iarnet providers add`.",
        )
    found = detect(settings.mode, environ, service_account=SERVICE_ACCOUNT.exists())
    return settings.model_copy(update={"mode": found})


def local_provider(settings: Settings) -> str:
    """What this machine's engine is called. Where nodes share a store, each has one."""
    return f"docker-{settings.node_name}"[:63] if settings.shares_store else LOCAL


def looks_for_docker(settings: Settings) -> bool:
    """Of a settled mode: a node in a cluster has an engine only when it is told of one."""
    if settings.docker.host:
        return settings.docker.host != "none"
    return settings.mode == "standalone"
