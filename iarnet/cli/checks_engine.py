"""The Docker engine as the doctor sees it: straight through its socket, to tell why one can't be reached."""

import os
import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from iarnet.cli.check import WAIT_S, Check, Machine
from iarnet.cli.checks_firewall import firewall_check
from iarnet.errors import Missing
from iarnet.providers.docker.interfaces import interfaces

OLDEST_API = (1, 41)


def engine_checks(machine: Machine) -> Iterator[Check]:
    """Engine, its networks and its clock; or why none can be reached."""
    if not _wanted(machine):
        yield Check(name="docker", state="ok", says="not used in this configuration")
        return
    refusals = []
    for address in _addresses(machine):
        try:
            with closing(_engine(address)) as engine:
                yield from list(_looked_at(machine, engine, address))
            return
        except (httpx.HTTPError, OSError, ValueError, KeyError) as error:
            refusals.append((address, error))
    yield _no_engine(refusals)


def _wanted(machine: Machine) -> bool:
    from workers.mode import looks_for_docker, settled

    try:
        return looks_for_docker(settled(machine.settings, machine.environ))
    except Missing:  # a mode that no node can be in
        return False


def _addresses(machine: Machine) -> list[str]:
    """Where a Docker engine may be: the configured one, else the usual sockets."""
    from iarnet.providers.registry import default_sockets

    given = machine.settings.docker.host
    return [given] if given else list(default_sockets(Path.home(), os.getuid()))


def _engine(address: str) -> httpx.Client:
    parts = urlsplit(address)
    if parts.scheme == "unix":
        with closing(socket.socket(socket.AF_UNIX)) as probe:
            # httpx hides which of "not there" and "not allowed" it was.
            probe.settimeout(WAIT_S)
            probe.connect(parts.path)
        transport = httpx.HTTPTransport(uds=parts.path)
        return httpx.Client(transport=transport, base_url="http://docker", timeout=WAIT_S)
    if parts.scheme in ("tcp", "http"):
        return httpx.Client(base_url=f"http://{parts.netloc}", timeout=WAIT_S, trust_env=False)
    raise ValueError(f"an engine at {parts.scheme}:// can't be looked at from here")


def _looked_at(machine: Machine, engine: httpx.Client, address: str) -> Iterator[Check]:
    version = engine.get("/version").raise_for_status().json()
    api = tuple(int(part) for part in version["ApiVersion"].split("."))
    if api < OLDEST_API:
        says = f"{version['Version']} at {address} is too old"
        yield Check(name="docker", state="fail", says=says, fix="install Docker Engine 20.10 or newer")
        return
    info = engine.get("/info").raise_for_status().json()
    missing = [w for w in info.get("Warnings") or () if "limit" in w]
    says = f"{version['Version']} at {address}"
    if missing:
        yield Check(
            name="docker", state="warn", says=f"{says}: {missing[0]}", fix="turn the controller on in the kernel"
        )
    else:
        yield Check(name="docker", state="ok", says=says)
    networks = engine.get("/networks").raise_for_status().json()
    room = _networks(machine, networks)
    yield room
    if room.state != "fail" and machine.settings.gateway.enabled and address.startswith("unix:"):
        yield firewall_check(engine, machine.settings.docker.network_pool, networks)
    yield _clock(machine, info)


def _no_engine(refusals: Sequence[tuple[str, Exception]]) -> Check:
    denied = [address for address, error in refusals if isinstance(error, PermissionError)]
    if denied:
        fix = "add yourself to the group `docker` (`sudo usermod -aG docker $USER`) and log in again"
        return Check(name="docker", state="fail", says=f"no permission for {denied[0]}", fix=fix)
    says = "; ".join(f"{address}: {error}" for address, error in refusals)
    fix = "start Docker (`sudo systemctl start docker`), or set `docker.host`; without one set it to `none`"
    return Check(name="docker", state="fail", says=f"no engine answers ({says})", fix=fix)


def _networks(machine: Machine, networks: list[dict[str, Any]]) -> Check:
    pool = IPv4Network(machine.settings.docker.network_pool)
    configs = [c for n in networks for c in (n.get("IPAM") or {}).get("Config") or ()]
    subnets = {c["Subnet"] for c in configs if "." in c.get("Subnet", "")}
    taken = [s for s in map(IPv4Network, subnets) if s.overlaps(pool)]
    here = [(name, interface.network) for name, interface in interfaces()]
    foreign = [(name, net) for name, net in here if net.overlaps(pool) and net not in taken]
    if names := [f"{name} ({net})" for name, net in foreign if net.supernet_of(pool)]:
        says = f"{pool} lies within the network of {', '.join(names)}"
        return Check(
            name="networks", state="fail", says=says, fix="set `docker.network_pool` to a range that is free"
        )
    used = sum(net.num_addresses for net in {*taken, *(net for _, net in foreign)})
    free = max(0, 100 - 100 * used // pool.num_addresses)
    says = f"{pool}, {len(taken)} networks of this engine in it, {free} % free"
    fix = "" if free > 10 else "set a larger `docker.network_pool`"
    return Check(name="networks", state="warn" if fix else "ok", says=says, fix=fix)


def _clock(machine: Machine, info: dict[str, Any]) -> Check:
    text = re.sub(r"(\.\d{6})\d*", r"\1", str(info["SystemTime"]).replace("Z", "+00:00"))
    skew = abs(datetime.fromisoformat(text).timestamp() - machine.now())
    here = datetime.fromtimestamp(machine.now(), UTC)
    if skew <= 5:
        return Check(name="clock", state="ok", says=f"{here:%Y-%m-%d %H:%M:%S} UTC, as the engine's")
    says = f"{skew:.0f} s apart from the engine's"
    return Check(
        name="clock", state="warn", says=says, fix="let both synchronise their time (chrony, systemd-timesyncd)"
    )
