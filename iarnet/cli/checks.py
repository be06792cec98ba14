"""What a node needs from its machine, each looked at by itself: what is there, and how to fix what is not."""

import asyncio
import errno
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx
import psutil
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine

from iarnet.config import Settings
from iarnet.config_layers import masked
from iarnet.config_sections import parse_address
from iarnet.models.base import Value
from iarnet.models.quantity import format_size
from iarnet.models.resources import GIB, MIB

State = Literal["ok", "warn", "fail"]
OLDEST_GIT = (2, 37)
OLDEST_ENGINE_API = (1, 41)
WAIT_S = 5.0


class Check(Value):
    """`fix` says what to do when it is not `ok`."""

    name: str
    state: State
    says: str
    fix: str = ""


@dataclass(frozen=True)
class Machine:
    """`running`: a node answers on the address of this configuration, so its ports are taken rightly."""

    settings: Settings
    environ: Mapping[str, str]
    running: bool
    now: Callable[[], float] = time.time


def run_checks(machine: Machine) -> Iterator[Check]:
    """One after the other; each is given away as soon as it is known."""
    yield _python(machine)
    yield _git(machine)
    yield _temporal(machine)
    yield from _docker(machine)
    yield from _ports(machine)
    yield _disk(machine)
    yield _memory(machine)
    yield from _data_dir(machine)
    yield _database(machine)
    yield _exposure(machine)


def answers(address: str) -> bool:
    """Whether a node's API is there."""
    try:
        return httpx.get(f"{address}/api/health", timeout=WAIT_S, trust_env=False, verify=False).status_code in (
            200,
            503,
        )
    except (httpx.HTTPError, httpx.InvalidURL):
        return False


def find_temporal(settings: Settings, environ: Mapping[str, str]) -> str | None:
    """The configured program, else the one that was installed with this one, else that of the path."""
    if settings.temporal.binary:
        return shutil.which(str(Path(settings.temporal.binary).expanduser()), path=environ.get("PATH"))
    beside = shutil.which("temporal", path=str(Path(sys.executable).parent))
    return beside or shutil.which("temporal", path=environ.get("PATH"))


def _python(_: Machine) -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info >= (3, 11):
        return Check(name="python", state="ok", says=version)
    return Check(name="python", state="fail", says=f"{version} is too old", fix="install Python 3.11 or newer")


def _git(machine: Machine) -> Check:
    program = shutil.which(machine.settings.git.binary, path=machine.environ.get("PATH"))
    if not program:
        return Check(name="git", state="fail", says="not found", fix="install git, or set `git.binary`")
    said = _output(program, "--version")
    found = re.search(r"(\d+)\.(\d+)", said)
    version = (int(found[1]), int(found[2])) if found else (0, 0)
    if version < OLDEST_GIT:
        return Check(name="git", state="fail", says=f"{said or program} is too old", fix="install git 2.37 or newer")
    return Check(name="git", state="ok", says=f"{said.removeprefix('git version ')} at {program}")


def _temporal(machine: Machine) -> Check:
    address = machine.settings.temporal.address
    if address:
        return _connects("temporal", parse_address(address), "start it, or correct `temporal.address`")
    program = find_temporal(machine.settings, machine.environ)
    if not program:
        fix = "install the `temporal` command line, or set `temporal.binary` or `temporal.address`"
        return Check(name="temporal", state="fail", says="the program is not found", fix=fix)
    said = _output(program, "--version")
    if not said:
        return Check(name="temporal", state="fail", says=f"{program} does not run", fix="install it again")
    return Check(name="temporal", state="ok", says=f"{said.splitlines()[0]} at {program}")


def engine_addresses(machine: Machine) -> list[str]:
    """Where a Docker engine may be: the configured one, else that of `DOCKER_HOST`, else the usual sockets."""
    from iarnet.providers.registry import default_sockets

    given = machine.settings.docker.host or machine.environ.get("DOCKER_HOST", "")
    home = Path(machine.environ.get("HOME") or Path.home())
    return [given] if given else list(default_sockets(home, os.getuid()))


def _docker(machine: Machine) -> Iterator[Check]:
    if machine.settings.docker.host == "none" or machine.settings.mode == "k8s":
        yield Check(name="docker", state="ok", says="not used in this configuration")
        return
    refusals = []
    for address in engine_addresses(machine):
        try:
            with closing(_engine(address)) as engine:
                yield from _engine_checks(machine, engine, address)
            return
        except (httpx.HTTPError, OSError, ValueError, KeyError) as error:
            refusals.append((address, error))
    yield _no_engine(refusals)


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


def _engine_checks(machine: Machine, engine: httpx.Client, address: str) -> Iterator[Check]:
    version = engine.get("/version").raise_for_status().json()
    api = tuple(int(part) for part in version["ApiVersion"].split("."))
    if api < OLDEST_ENGINE_API:
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
    yield _networks(machine, engine.get("/networks").raise_for_status().json())
    yield _clock(machine, info)


def _no_engine(refusals: list[tuple[str, Exception]]) -> Check:
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
    used = {c["Subnet"] for c in configs if "." in c.get("Subnet", "")}
    taken = [s for s in map(IPv4Network, used) if s.overlaps(pool)]
    foreign = [f"{name} ({net})" for name, net in _interfaces() if net.overlaps(pool) and net not in taken]
    if foreign:
        says = f"{pool} overlaps with {', '.join(foreign)}"
        return Check(
            name="networks", state="fail", says=says, fix="set `docker.network_pool` to a range that is free"
        )
    free = pool.num_addresses - sum(min(s.num_addresses, pool.num_addresses) for s in taken)
    state: State = "ok" if free * 10 > pool.num_addresses else "warn"
    says = f"{pool}, {len(taken)} networks in it, {max(0, 100 * free // pool.num_addresses)} % free"
    return Check(
        name="networks", state=state, says=says, fix="" if state == "ok" else "set a larger `docker.network_pool`"
    )


def _interfaces() -> Iterator[tuple[str, IPv4Network]]:
    for name, addresses in psutil.net_if_addrs().items():
        for a in addresses:
            if a.family == socket.AF_INET and a.netmask:
                yield name, IPv4Network(f"{a.address}/{a.netmask}", strict=False)


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


def _ports(machine: Machine) -> Iterator[Check]:
    settings = machine.settings
    api = settings.api_address
    wanted = [("port of the API", api.host, api.port, "listen_addr")]
    if not settings.temporal.address:
        wanted.append(("port of Temporal", "127.0.0.1", settings.temporal.port, "temporal.port"))
        wanted.append(("port of Temporal's web UI", "127.0.0.1", settings.temporal.ui_port, "temporal.ui_port"))
    for name, host, port, key in wanted:
        yield _port(name, host, port, key, running=machine.running)


def _port(name: str, host: str, port: int, key: str, *, running: bool) -> Check:
    if port == 0:
        return Check(name=name, state="ok", says="a free one is taken")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with closing(socket.socket(family)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE and running:
                return Check(name=name, state="ok", says=f"{host}:{port}, taken by the node that runs here")
            says = f"{host}:{port} can't be had: {error.strerror or error}"
            return Check(name=name, state="fail", says=says, fix=f"end what holds it, or set `{key}` to another one")
    return Check(name=name, state="ok", says=f"{host}:{port} is free")


def _disk(machine: Machine) -> Check:
    folder = _existing(machine.settings.data_dir)
    free = shutil.disk_usage(folder).free
    says = f"{format_size(free)} free at {folder}"
    if free < GIB:
        return Check(name="disk", state="fail", says=says, fix="make room, or set `data_dir` to a larger disk")
    if free < 5 * GIB:
        return Check(name="disk", state="warn", says=says, fix="images and builds soon need more than 5Gi")
    return Check(name="disk", state="ok", says=says)


def _memory(machine: Machine) -> Check:
    memory = psutil.virtual_memory()
    says = f"{format_size(memory.available)} of {format_size(memory.total)} available"
    if memory.available < machine.settings.system_reserve.memory_bytes + 256 * MIB:
        fix = "nothing would be placed here: end other programs, or lower `system_reserve.memory`"
        return Check(name="memory", state="warn", says=says, fix=fix)
    return Check(name="memory", state="ok", says=says)


def _data_dir(machine: Machine) -> Iterator[Check]:
    folder = machine.settings.data_dir
    there = _existing(folder)
    if not os.access(there, os.W_OK | os.X_OK):
        says = f"{there} can't be written"
        yield Check(name="data directory", state="fail", says=says, fix="change its owner, or set `data_dir`")
    else:
        made = "" if there == folder else ", will be made"
        yield Check(name="data directory", state="ok", says=f"{folder}{made}")
    for file in (machine.settings.token_file, machine.settings.secrets.key_file):
        if file.exists() and file.stat().st_mode & 0o077:
            yield Check(name=file.name, state="fail", says=f"{file} can be read by others", fix=f"chmod 600 {file}")


def _database(machine: Machine) -> Check:
    url = machine.settings.database_url
    if url.startswith("sqlite"):
        return _sqlite(Path(make_url(url).database or ""))
    shown, fix = str(masked(url)), "start it, or correct `database_url`"
    try:
        asyncio.run(asyncio.wait_for(_select_one(url), WAIT_S))
    except (OSError, SQLAlchemyError, TimeoutError) as error:
        why = str(getattr(error, "orig", None) or error).splitlines()[:1] or [type(error).__name__]
        return Check(name="database", state="fail", says=f"{shown} does not answer: {masked(why[0])}", fix=fix)
    return Check(name="database", state="ok", says=shown)


def _sqlite(file: Path) -> Check:
    if not file.exists():
        return Check(name="database", state="ok", says=f"{file}, will be made")
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=WAIT_S)) as database:
            database.execute("select count(*) from sqlite_master").fetchone()
    except sqlite3.Error as error:
        fix = "put a backup in its place, or set `database_url` to another file"
        return Check(name="database", state="fail", says=f"{file}: {error}", fix=fix)
    return Check(name="database", state="ok", says=str(file))


async def _select_one(url: str) -> None:
    parsed = make_url(url)
    query = {("ssl" if key == "sslmode" else key): value for key, value in parsed.query.items()}
    engine = create_async_engine(parsed.set(drivername="postgresql+asyncpg", query=query))
    try:
        async with engine.connect() as connection:
            await connection.exec_driver_sql("select 1")
    finally:
        await engine.dispose()


def _exposure(machine: Machine) -> Check:
    address = machine.settings.api_address
    local = address.host in ("127.0.0.1", "::1", "localhost")
    if local or machine.settings.tls.enabled:
        return Check(
            name="exposure", state="ok", says=f"the API is at {address}" + (", this machine only" if local else "")
        )
    says = f"the API is at {address} without TLS: the token can be read on the way"
    return Check(
        name="exposure", state="warn", says=says, fix="set `tls`, or listen on loopback behind a proxy with TLS"
    )


def _connects(name: str, address: Any, fix: str) -> Check:
    try:
        socket.create_connection(address, timeout=WAIT_S).close()
    except OSError as error:
        return Check(name=name, state="fail", says=f"{address} does not answer: {error.strerror or error}", fix=fix)
    return Check(name=name, state="ok", says=f"{address} answers")


def _existing(path: Path) -> Path:
    return next(p for p in (path, *path.parents) if p.exists())


def _output(*argv: str) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=2 * WAIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
