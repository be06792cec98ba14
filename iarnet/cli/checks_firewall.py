"""Whether containers reach this machine: the gateway listens on it, and what comes from them must be let in."""

import json
import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import httpx
import psutil

from iarnet.cli.check import Check
from iarnet.errors import NoRoom
from iarnet.providers.docker.interfaces import interfaces

LABEL = "iarnet.doctor"

_COMES_S = 3.0
_IMAGES = 3
_SMALL = ("busybox", "alpine")
_NO_PROGRAM = 127
_CONNECT = (
    f'if command -v nc; then nc -w {_COMES_S:.0f} "$0" "$1"; elif command -v bash;'
    f' then bash -c "exec 3<>/dev/tcp/$0/$1"; else exit {_NO_PROGRAM}; fi'
)


def firewall_check(engine: httpx.Client, pool: str, networks: Iterable[dict[str, Any]]) -> Check:
    """Tried, with a network and a container that are gone afterwards; where no image can, by what can be read."""
    try:
        _clear(engine)
        with _network(engine, pool, networks) as (network, address):
            if address not in {str(interface.ip) for _, interface in interfaces()}:
                says = "the engine's networks are not this machine's: its components reach each other directly"
                return Check(name="firewall", state="ok", says=says)
            return _judged(_comes(engine, network, address), pool)
    except (httpx.HTTPError, OSError, NoRoom) as error:
        says = f"it can't be tried whether containers reach this machine: {_told(error)}"
        return Check(name="firewall", state="warn", says=says, fix="see `networks`, or try again")


def _judged(comes: bool | None, pool: str) -> Check:
    if comes:
        return Check(name="firewall", state="ok", says="containers reach this machine")
    if comes is False:
        says = f"containers don't reach this machine: a firewall stops what comes from {pool}"
        return Check(name="firewall", state="fail", says=says, fix=_rule(pool))
    says = "not tried whether containers reach this machine: no image here has a program for it (busybox has)"
    if _ufw():
        return Check(name="firewall", state="warn", says=f"{says}; ufw is on", fix=_rule(pool))
    return Check(name="firewall", state="ok", says=says)


def _rule(pool: str) -> str:
    if _ufw():
        return f"`sudo ufw allow from {pool}`"
    if any(process.info["name"] == "firewalld" for process in psutil.process_iter(["name"])):
        add = f"--zone=trusted --add-source={pool}"
        return f"`sudo firewall-cmd --permanent {add} && sudo firewall-cmd --reload`"
    rule = f"`sudo iptables -I INPUT -s {pool} -j ACCEPT`"
    return f"{rule}; with nftables, `ip saddr {pool} accept` in the chain of the hook `input`"


def _ufw() -> bool:
    with suppress(OSError):
        return "ENABLED=yes" in Path("/etc/ufw/ufw.conf").read_text().splitlines()
    return False


def _comes(engine: httpx.Client, network: str, address: str) -> bool | None:
    """None when no image can try."""
    with socket.create_server((address, 0)) as server:
        server.settimeout(_COMES_S)
        port = str(server.getsockname()[1])
        for image in _usable(engine.get("/images/json").raise_for_status().json()):
            comes = _comes_from(engine, image, network, server, [address, port])
            if comes is not None:
                return comes
    return None


def _usable(images: list[dict[str, Any]]) -> Iterator[str]:
    """The likeliest to have a program that connects first, then the smallest."""

    def unlikely(image: dict[str, Any]) -> tuple[bool, int]:
        names = {tag.rpartition(":")[0].rpartition("/")[2] for tag in image["RepoTags"] or ()}
        return not names & set(_SMALL), image["Size"]

    yield from (image["Id"] for image in sorted(images, key=unlikely)[:_IMAGES])


def _comes_from(engine: httpx.Client, image: str, network: str, server: socket.socket, at: list[str]) -> bool | None:
    body = {
        "Image": image,
        "Entrypoint": ["sh", "-c", _CONNECT, *at],
        "Cmd": [],
        "Labels": {LABEL: ""},
        "HostConfig": {"NetworkMode": network, "CapDrop": ["ALL"], "SecurityOpt": ["no-new-privileges"]},
    }
    made = engine.post("/containers/create", json=body).raise_for_status().json()["Id"]
    try:
        if engine.post(f"/containers/{made}/start").is_error:
            return None
        with suppress(TimeoutError):
            server.accept()[0].close()
            return True
        state = engine.get(f"/containers/{made}/json").raise_for_status().json()["State"]
        return None if state["ExitCode"] == _NO_PROGRAM else False
    finally:
        engine.delete(f"/containers/{made}", params={"force": True, "v": True})


@contextmanager
def _network(engine: httpx.Client, pool: str, networks: Iterable[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """A network as those of applications are, and the host's address in it."""
    from iarnet.providers.docker.network import candidates

    name = f"iarnet-doctor.{os.getpid()}"
    configs = [c for n in networks for c in (n.get("IPAM") or {}).get("Config") or ()]
    taken = [IPv4Network(c["Subnet"]) for c in configs if "." in c.get("Subnet", "")]
    taken += [interface.network for _, interface in interfaces()]
    subnet = next(candidates(pool, name, taken), None)
    if subnet is None:
        raise NoRoom(f"no subnet of {pool} is free")
    address = str(subnet[1])
    body = {
        "Name": name,
        "Driver": "bridge",
        "Labels": {LABEL: ""},
        "IPAM": {"Config": [{"Subnet": str(subnet), "Gateway": address}]},
    }
    made = engine.post("/networks/create", json=body).raise_for_status().json()["Id"]
    try:
        yield made, address
    finally:
        engine.delete(f"/networks/{made}")


def _clear(engine: httpx.Client) -> None:
    """What a doctor has left that was killed."""
    which = {"filters": json.dumps({"label": [LABEL], "until": ["10m"]})}
    for kind in ("containers", "networks"):
        engine.post(f"/{kind}/prune", params=which)


def _told(error: Exception) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        with suppress(ValueError, KeyError, TypeError):
            return str(error.response.json()["message"])
    return str(error)
