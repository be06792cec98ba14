"""An `InstanceSpec` as what the Docker engine wants, and what it says as an `Instance`. Pure."""

import math
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from iarnet.models.container import Container, is_address
from iarnet.models.instance import Instance, InstanceSpec, InstanceState, PortBinding
from iarnet.providers.docker.names import Names

OWNER = "iarnet.owner"
APP = "iarnet.app"
NAME = "iarnet.name"
COMPONENT = "iarnet.component"
REVISION = "iarnet.revision"
REPLICA = "iarnet.replica"
EPOCH = "iarnet.epoch"
SPEC = "iarnet.spec"
PORTS = "iarnet.ports"

_BURST_MILLIS = 1000
_LOGS = {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}}
_EXIT_CODES = {126: "a program in it can't be executed", 127: "a program was not found in the image"}
_STATES: dict[str, InstanceState] = {
    "created": "created",
    "running": "running",
    "paused": "running",
    "restarting": "pending",
    "removing": "removed",
    "exited": "exited",
    "dead": "exited",
}


def labels(spec: InstanceSpec) -> dict[str, str]:
    return spec.container.labels | {
        OWNER: spec.owner,
        APP: spec.app,
        NAME: spec.name,
        COMPONENT: spec.component,
        REVISION: str(spec.revision),
        REPLICA: str(spec.replica),
        EPOCH: str(spec.epoch),
        SPEC: spec.spec_hash,
        PORTS: ",".join(_key(p) for p in spec.ports),
    }


def led(value: str, hosts: Mapping[str, int], addresses: Mapping[int, str]) -> str:
    """A setting, with the address that a neighbour has here in place of a fixed one that it had elsewhere."""
    for host in filter(is_address, hosts):
        value = re.sub(rf"(?<![0-9.]){re.escape(host)}(?![0-9]|\.[0-9])", addresses[hosts[host]], value)
    return value


def volume_labels(owner: str, app: str, component: str) -> dict[str, str]:
    return {OWNER: owner, APP: app, COMPONENT: component}


def container(
    spec: InstanceSpec, env: dict[str, str], *, names: Names, addresses: Mapping[int, str], publish_address: str
) -> dict[str, Any]:
    """The body of `POST /containers/create`. What is not given stays the image's.

    `addresses`: where the gateway is for the app, by slot.
    """
    body: dict[str, Any] = {
        "Image": spec.image,
        "Entrypoint": _listed(spec.entrypoint),
        "Cmd": _listed(spec.command),
        "Env": [f"{name}={value}" for name, value in env.items()],
        "User": spec.user,
        "WorkingDir": spec.working_dir,
        "ExposedPorts": {_key(p): {} for p in spec.ports},
        "Labels": labels(spec),
        **_program(spec.container),
        "HostConfig": _host_config(spec, names, addresses, publish_address),
    }
    if spec.container.network == "app":
        joined = {names.network(spec.app): {"Aliases": list(spec.aliases)}}
        body["NetworkingConfig"] = {"EndpointsConfig": joined}
    return {key: value for key, value in body.items() if value is not None}


def instance(container: dict[str, Any], provider_id: str) -> Instance:
    """`container`: the engine's answer to `inspect`, of a container that carries our labels."""
    given = container["Config"]["Labels"]
    state = container["State"]
    known = state_of(state["Status"])
    ended = known in ("exited", "removed")
    return Instance(
        **_identity(given, provider_id),
        id=container["Id"],
        state=known,
        image=container["Config"]["Image"],
        address=_address(container),
        ports=_ports(given.get(PORTS, ""), container["HostConfig"].get("PortBindings") or {}),
        exit_code=state["ExitCode"] if ended else None,
        oom_killed=state["OOMKilled"],
        started_at=_time(state["StartedAt"]),
        finished_at=_time(state["FinishedAt"]) if ended else None,
        message=_message(state),
    )


def state_of(status: str) -> InstanceState:
    return _STATES.get(status, "lost")


def gone(attributes: dict[str, str], provider_id: str, *, id: str, state: InstanceState) -> Instance:
    """What an event says of a container that can't be inspected any more."""
    code = attributes.get("exitCode")
    return Instance(
        **_identity(attributes, provider_id),
        id=id,
        state=state,
        image=attributes.get("image", ""),
        exit_code=None if code is None else int(code),
    )


def _host_config(
    spec: InstanceSpec, names: Names, addresses: Mapping[int, str], publish_address: str
) -> dict[str, Any]:
    memory = spec.resources.memory_bytes
    return {
        **_surroundings(spec, names, addresses),
        "PortBindings": {
            _key(p): [{"HostIp": publish_address, "HostPort": str(p.host_port)}] for p in spec.ports if p.host_port
        },
        "Mounts": [
            {
                "Type": "volume",
                "Source": names.volume(spec.app, v.of or spec.component, v.name),
                "Target": v.path,
                "ReadOnly": v.read_only,
            }
            for v in spec.volumes
        ]
        + [{"Type": "volume", "Target": folder} for folder in covered_folders(spec)],
        "CapDrop": ["ALL"],
        "CapAdd": list(spec.capabilities),
        "SecurityOpt": ["no-new-privileges"],
        **_inside(spec.container),
        "Memory": memory,
        # As much memory and swap together as memory alone: no swap.
        "MemorySwap": memory,
        # What was asked for is its share when the machine is busy; when it is idle, it may use a whole core. A hard
        # limit of the usual quarter made a database start in 4.5 s instead of 1.8.
        "CpuShares": max(2, spec.resources.cpu_millis * 1024 // 1000),
        "NanoCpus": max(_BURST_MILLIS, spec.resources.cpu_millis) * 1_000_000,
        "DeviceRequests": _gpus(spec.resources.gpu_millis),
        "RestartPolicy": {"Name": "no"},
        "LogConfig": _LOGS,
    }


def covered_folders(spec: InstanceSpec) -> tuple[str, ...]:
    """The folders of its files that nothing can be put into before it starts, as they can't be written or aren't
    there yet: each needs a volume of its own, which begins with what the image has there."""
    options = spec.container
    folders = dict.fromkeys(file.path.rpartition("/")[0] for file in spec.files)
    hidden = [each.rstrip("/") for each in options.tmpfs]
    return tuple(
        folder
        for folder in folders
        if folder and (options.read_only or any(folder == each or folder.startswith(f"{each}/") for each in hidden))
    )


def _program(options: Container) -> dict[str, Any]:
    return {
        "Hostname": options.hostname,
        "Domainname": options.domain,
        "StopSignal": options.stop_signal,
        "StopTimeout": math.ceil(options.stop_s),
        "Tty": options.terminal,
        "OpenStdin": options.stdin,
    }


def _surroundings(spec: InstanceSpec, names: Names, addresses: Mapping[int, str]) -> dict[str, Any]:
    options = spec.container
    if options.network == "none":
        return {"NetworkMode": "none"}
    neighbours = {name: addresses[slot] for name, slot in spec.hosts.items() if not is_address(name)}
    return {
        "NetworkMode": names.network(spec.app),
        "ExtraHosts": [f"{name}:{address}" for name, address in (options.hosts | neighbours).items()],
        "Dns": list(options.dns),
        "DnsSearch": list(options.dns_search),
        "DnsOptions": list(options.dns_options),
    }


def _inside(options: Container) -> dict[str, Any]:
    return {
        "Init": options.init,
        "ReadonlyRootfs": options.read_only,
        "Tmpfs": dict(options.tmpfs),
        "ShmSize": options.shm_bytes,
        "PidsLimit": options.pids,
        "Ulimits": [{"Name": n, "Soft": u.soft, "Hard": u.hard} for n, u in options.ulimits.items()],
        "Sysctls": dict(options.sysctls),
        "GroupAdd": list(options.groups),
        "OomScoreAdj": options.oom_score,
        "Runtime": options.runtime or "",
    }


def _gpus(millis: int) -> list[dict[str, Any]]:
    count = -(-millis // 1000)
    return [{"Driver": "nvidia", "Count": count, "Capabilities": [["gpu"]]}] if count else []


def _identity(given: dict[str, str], provider_id: str) -> dict[str, Any]:
    return {
        "name": given[NAME],
        "app": given[APP],
        "component": given[COMPONENT],
        "replica": int(given[REPLICA]),
        "revision": int(given[REVISION]),
        "epoch": int(given[EPOCH]),
        "spec_hash": given[SPEC],
        "provider_id": provider_id,
    }


def _message(state: dict[str, Any]) -> str:
    if state["Error"]:
        return str(state["Error"])
    if state["Status"] == "paused":
        return "paused"
    return _EXIT_CODES.get(state["ExitCode"], "") if state["Status"] == "exited" else ""


def _address(container: dict[str, Any]) -> str | None:
    network = container["NetworkSettings"]["Networks"].get(container["HostConfig"]["NetworkMode"]) or {}
    return network.get("IPAddress") or None


def _ports(listed: str, bindings: dict[str, list[dict[str, str]] | None]) -> tuple[PortBinding, ...]:
    """In the order of the spec, which the engine itself does not keep."""
    return tuple(_port(key, bindings.get(key) or []) for key in listed.split(",") if key)


def _port(key: str, bindings: list[dict[str, str]]) -> PortBinding:
    port, protocol = key.split("/")
    host_port = int(bindings[0]["HostPort"]) if bindings else None
    return PortBinding.model_validate({"port": int(port), "protocol": protocol, "host_port": host_port})


def _key(port: PortBinding) -> str:
    return f"{port.port}/{port.protocol}"


def _listed(words: tuple[str, ...] | None) -> list[str] | None:
    return None if words is None else list(words)


def _time(text: str) -> datetime | None:
    # The engine's zero time means never.
    return None if text.startswith("0001-") else datetime.fromisoformat(text)
