"""The ports that a node wants: free, held by what it has started itself, or why they can't be had."""

import errno
import json
import socket
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass

import psutil

from iarnet.cli.check import Check, Machine, State


@dataclass(frozen=True)
class _Port:
    """`key` is its setting; `state` what it means that it can't be had, and `instead` what happens then."""

    name: str
    host: str
    number: int
    key: str
    state: State
    instead: str = ""


def port_checks(machine: Machine) -> Iterator[Check]:
    for port in _wanted(machine):
        yield _check(machine, port)


def _wanted(machine: Machine) -> Iterator[_Port]:
    settings = machine.settings
    yield _Port("port of the API", settings.api_address.host, settings.api_address.port, "listen_addr", "fail")
    if grpc := settings.peer_address:
        later = "gRPC is answered once it is free: "
        yield _Port("port of gRPC", grpc.host, grpc.port, "peer_listen_addr", "warn", later)
    if not settings.temporal.address:
        free = "nothing needs to be done, a free one is taken; or "
        temporal = settings.temporal
        yield _Port("port of Temporal", "127.0.0.1", temporal.port, "temporal.port", "warn", free)
        yield _Port("port of Temporal's web UI", "127.0.0.1", temporal.ui_port, "temporal.ui_port", "warn", free)
    if settings.gateway.enabled:
        at, gateway, names = settings.docker.publish_address, settings.gateway, "no name works there: "
        yield _Port("port for names", at, gateway.http_port, "gateway.http_port", "warn", names)
        yield _Port("port for names with TLS", at, gateway.https_port, "gateway.https_port", "warn", names)


def _check(machine: Machine, port: _Port) -> Check:
    where = f"{port.host}:{port.number}"
    if port.number == 0:
        return Check(name=port.name, state="ok", says="a free one is taken")
    with closing(socket.socket(socket.AF_INET6 if ":" in port.host else socket.AF_INET)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((port.host, port.number))
        except OSError as error:
            return _taken(machine, port, error) or _refused(port, error)
    return Check(name=port.name, state="ok", says=f"{where} is free")


def _taken(machine: Machine, port: _Port, error: OSError) -> Check | None:
    """By something that is ours. The gateway goes on when its node has ended."""
    if error.errno != errno.EADDRINUSE:
        return None
    of_gateway = port.key.startswith("gateway.")
    holder = _holder(port.number)
    if holder.pid == _gateway_pid(machine) if of_gateway and holder else machine.running and not of_gateway:
        by = "the gateway" if of_gateway else "the node that runs here"
        return Check(name=port.name, state="ok", says=f"{port.host}:{port.number}, taken by {by}")
    return None


def _refused(port: _Port, error: OSError) -> Check:
    says = f"{port.host}:{port.number} can't be had: {error.strerror or error}"
    do = "end what holds it"
    if error.errno == errno.EADDRINUSE and (holder := _holder(port.number)):
        says = f"{port.host}:{port.number} is held by {_named(holder)}"
        do = "end that"
    elif error.errno == errno.EACCES:
        do = f"allow it (`sudo sysctl net.ipv4.ip_unprivileged_port_start={port.number}`)"
    fix = f"{port.instead}{do}, or set `{port.key}` to another one"
    return Check(name=port.name, state=port.state, says=says, fix=fix)


def _holder(port: int) -> psutil.Process | None:
    """Who listens there, as far as this user may know."""
    with suppress(psutil.Error):
        for each in psutil.net_connections("tcp"):
            if each.status == psutil.CONN_LISTEN and each.laddr and each.laddr.port == port and each.pid:
                return psutil.Process(each.pid)
    return None


def _named(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return f"{process.name()} (process {process.pid})"
    return f"process {process.pid}"


def _gateway_pid(machine: Machine) -> int | None:
    try:
        return int(json.loads((machine.settings.data_dir / "gateway" / "process.json").read_text())["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
