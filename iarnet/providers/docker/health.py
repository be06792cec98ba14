"""Whether an engine can be used, and what it is."""

import asyncio
import time
from typing import Any

import docker

from iarnet.errors import IarnetError
from iarnet.models.provider import Capabilities, ProviderHealth
from iarnet.providers.docker.connection import OLDEST_API
from iarnet.providers.docker.engine import Engine
from iarnet.providers.docker.errors import unreachable

_WITHIN_S = 10.0
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}


async def check(engine: Engine) -> tuple[ProviderHealth, dict[str, Any]]:
    """The health, and the fields of `ProviderInfo` that the engine itself decides. Never raises."""
    try:
        async with asyncio.timeout(_WITHIN_S):
            latency_s, version, info = await engine.ask(_measure)
    except IarnetError as e:
        return _down(e), {}
    except TimeoutError:
        return _down(unreachable(f"it timed out after {_WITHIN_S:g} s", engine.connection.url)), {}
    problem, hint = _complaint(version)
    health = ProviderHealth(
        reachable=True, latency_s=latency_s, version=version["Version"], problem=problem, hint=hint
    )
    return health, known(info)


def known(info: dict[str, Any]) -> dict[str, Any]:
    machine = info["Architecture"]
    gpu = "nvidia" in (info.get("Runtimes") or {})
    return {"architecture": _ARCHITECTURES.get(machine, machine), "capabilities": Capabilities(gpu=gpu)}


def _down(error: IarnetError) -> ProviderHealth:
    return ProviderHealth(reachable=False, problem=error.message, hint=error.hint)


def _measure(client: docker.APIClient) -> tuple[float, dict[str, Any], dict[str, Any]]:
    begun = time.monotonic()
    client.ping()
    return time.monotonic() - begun, client.version(), client.info()


def _complaint(version: dict[str, Any]) -> tuple[str, str]:
    offered = str(version["ApiVersion"])
    if tuple(map(int, offered.split("."))) < tuple(map(int, OLDEST_API.split("."))):
        return f"API {offered} is too old, {OLDEST_API} is needed", "install Docker Engine 20.10 or newer"
    return "", ""
