"""What a node needs from its machine, each looked at by itself: what is there, and how to fix what is not."""

import asyncio
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import psutil
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine

from iarnet.cli.check import WAIT_S, Check, Machine
from iarnet.cli.checks_engine import engine_checks
from iarnet.cli.checks_ports import port_checks
from iarnet.config_layers import masked
from iarnet.config_sections import parse_address
from iarnet.errors import Missing
from iarnet.models.quantity import format_size
from iarnet.models.resources import GIB, MIB

OLDEST_GIT = (2, 37)


def run_checks(machine: Machine) -> Iterator[Check]:
    """One after the other; each is given away as soon as it is known."""
    yield _mode(machine)
    yield _python(machine)
    yield _git(machine)
    yield _temporal(machine)
    yield from _analyser(machine)
    yield from engine_checks(machine)
    yield from port_checks(machine)
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


def _mode(machine: Machine) -> Check:
    from workers.mode import looks_for_docker, settled

    try:
        settings = settled(machine.settings, machine.environ)
    except Missing as error:
        return Check(name="mode", state="fail", says=error.message, fix=error.hint)
    if settings.mode == "standalone":
        return Check(name="mode", state="ok", says="standalone")
    engine = f", with the engine at {settings.docker.host}" if looks_for_docker(settings) else ""
    says = f"in a Kubernetes cluster{engine}; this version has no Kubernetes provider"
    fix = "" if engine else "nothing runs here until a provider is connected: iarnet providers add"
    return Check(name="mode", state="warn" if fix else "ok", says=says, fix=fix)


def _python(_: Machine) -> Check:
    # An older one does not get this far: the package refuses to be installed.
    return Check(name="python", state="ok", says=f"{sys.version.split()[0]} at {sys.executable}")


def _git(machine: Machine) -> Check:
    program = shutil.which(machine.settings.git.binary, path=machine.environ.get("PATH"))
    if not program:
        return Check(name="git", state="fail", says="not found", fix="install git, or set `git.binary`")
    said = _output(program, "--version")
    found = re.match(r"git version (\d+)\.(\d+)", said)
    version = (int(found[1]), int(found[2])) if found else (0, 0)
    if version < OLDEST_GIT:
        return Check(name="git", state="fail", says=f"{said or program} is too old", fix="install git 2.37 or newer")
    return Check(name="git", state="ok", says=f"{said.removeprefix('git version ')} at {program}")


def _temporal(machine: Machine) -> Check:
    address = machine.settings.temporal.address
    if address:
        return _connects("temporal", parse_address(address), "start it, or correct `temporal.address`")
    from workers.temporal_server import find

    try:
        program = find(machine.settings.temporal.binary)
    except Missing as error:
        return Check(name="temporal", state="fail", says=error.message, fix=error.hint)
    said = _output(program, "--version")
    if not said:
        return Check(name="temporal", state="fail", says=f"{program} does not run", fix="install it again")
    return Check(name="temporal", state="ok", says=f"{said.splitlines()[0]} at {program}")


def _analyser(machine: Machine) -> Iterator[Check]:
    """Only where one was set. Without it the built-in one is asked, so nothing fails."""
    if address := machine.settings.analysis.address:
        fix = "start it, or correct `analysis.address`; until then the built-in analysis stands in"
        check = _connects("analyser", parse_address(address), fix)
        yield check if check.state == "ok" else check.model_copy(update={"state": "warn"})


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
