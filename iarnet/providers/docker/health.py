"""Whether an engine can be used, and what it is."""

import asyncio
import os
import platform
import re
import time
from pathlib import Path
from typing import Any

import docker
import docker.errors

from iarnet.errors import IarnetError
from iarnet.models.provider import Capabilities, ProviderHealth
from iarnet.providers.docker.companion import Base
from iarnet.providers.docker.connection import OLDEST_API
from iarnet.providers.docker.engine import Engine
from iarnet.providers.docker.errors import unreachable
from iarnet.providers.docker.images import has
from iarnet.providers.docker.interfaces import interfaces

_WITHIN_S = 10.0
_BIND_SERVICE = 10
"""The bit of CAP_NET_BIND_SERVICE, as in capability.h of Linux."""

_UNPRIVILEGED = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}


async def check(
    engine: Engine, *, gateway: bool, companion: Base | None = None
) -> tuple[ProviderHealth, dict[str, Any]]:
    """The health, and the fields of `ProviderInfo` that the engine itself decides. Never raises.

    `gateway`: one runs on this machine, which can serve the engine if it shares its networks. `companion`: what one
    that runs there is made from.
    """
    try:
        async with asyncio.timeout(_WITHIN_S):
            latency_s, version, info = await engine.ask(_measure)
            here = gateway and engine.connection.local and await engine.ask(lambda c: _is_beside(c, info))
            fits = companion is not None and not companion.retired and companion.fits(info)
            there = companion is not None and fits and await has(engine, companion.image)
    except IarnetError as e:
        return _down(e), {}
    except TimeoutError:
        return _down(unreachable(f"it timed out after {_WITHIN_S:g} s", engine.connection.url)), {}
    problem, hint = _complaint(version)
    health = ProviderHealth(
        reachable=True, latency_s=latency_s, version=version["Version"], problem=problem, hint=hint
    )
    return health, known(info, gateway=here or there, lowest_port=lowest_port() if here else 1)


def known(info: dict[str, Any], *, gateway: bool, lowest_port: int = 1) -> dict[str, Any]:
    machine = info["Architecture"]
    able = Capabilities(gpu="nvidia" in (info.get("Runtimes") or {}), gateway=gateway, lowest_port=lowest_port)
    return {"architecture": _ARCHITECTURES.get(machine, machine), "capabilities": able}


def lowest_port() -> int:
    """From which port on a program may listen that this one starts. Reads `/proc` (proc(5), capabilities(7)).

    To a program that root starts the bounding set is given, to another's the ambient one.
    """
    given = "CapBnd" if os.geteuid() == 0 else "CapAmb"
    found = re.search(rf"^{given}:\s*([0-9a-f]+)$", Path("/proc/self/status").read_text(), re.MULTILINE)
    if found and int(found[1], 16) >> _BIND_SERVICE & 1:
        return 1
    return int(_UNPRIVILEGED.read_text())


def _down(error: IarnetError) -> ProviderHealth:
    return ProviderHealth(reachable=False, problem=error.message, hint=error.hint)


def _measure(client: docker.APIClient) -> tuple[float, dict[str, Any], dict[str, Any]]:
    begun = time.monotonic()
    client.ping()
    return time.monotonic() - begun, client.version(), client.info()


def _is_beside(client: docker.APIClient, info: dict[str, Any]) -> bool:
    """Whether its bridges are interfaces of this machine.

    They are not when it runs in a virtual machine (Docker Desktop) or without root. That its default bridge has an
    address here does not tell: so may another engine's on this machine.
    """
    if info.get("KernelVersion") != platform.release() or "name=rootless" in (info.get("SecurityOptions") or ()):
        return False
    try:
        pools = client.inspect_network("bridge")["IPAM"]["Config"] or ()
    except docker.errors.NotFound:
        return False
    here = {str(interface.ip) for _, interface in interfaces()}
    return any(pool.get("Gateway") in here for pool in pools)


def _complaint(version: dict[str, Any]) -> tuple[str, str]:
    offered = str(version["ApiVersion"])
    if tuple(map(int, offered.split("."))) < tuple(map(int, OLDEST_API.split("."))):
        return f"API {offered} is too old, {OLDEST_API} is needed", "install Docker Engine 20.10 or newer"
    return "", ""
