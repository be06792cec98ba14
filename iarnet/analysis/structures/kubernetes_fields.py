"""What a container of a pod is: ports, settings, probes, room, volumes (core/v1 of Kubernetes)."""

import re
from collections.abc import Callable
from typing import Any, Literal

from iarnet.analysis.base import Clue
from iarnet.analysis.names import component_name
from iarnet.analysis.structures.manifests import Manifest, Manifests, at, each, text_of, texts
from iarnet.analysis.structures.nodes import Node
from iarnet.analysis.structures.quantities import cpu_millis, memory_bytes
from iarnet.models.component import EnvVar, HealthCheck, Port, Volume
from iarnet.models.resources import Resources

_BACK = 65_536
_FEW = re.compile(r"[0-9]{1,3}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,255}")


def container_facts(manifest: Manifest, container: Node, all_of: Manifests) -> tuple[dict[str, Any], list[Clue]]:
    """Fields of Component with where they are written. Raises `InvalidComponent` for amounts that are none."""
    facts: dict[str, Any] = {}
    clues: list[Clue] = []
    readers: dict[str, tuple[Node | None, Callable[[Node], Any]]] = {
        "ports": (at(container, "ports"), ports),
        "entrypoint": (at(container, "command"), _words),
        "command": (at(container, "args"), _words),
        "resources": (at(container, "resources"), resources),
        "replicas": (manifest.at("spec", "replicas"), number),
        "working_dir": (at(container, "workingDir"), lambda node: text_of(node) or None),
    }
    for name, (node, read) in readers.items():
        value = read(node) if node else None
        if node and value:
            facts[name] = value
            clues.append(Clue(name, shown(node), node.path, node.line))
    probe = at(container, "readinessProbe") or at(container, "livenessProbe")
    check = health(probe, container) if probe else None
    if probe and check:
        facts["health"] = check
        clues.append(Clue("health", shown(probe), probe.path, probe.line))
    kept = _volumes(manifest, container)
    if kept:
        facts["volumes"] = tuple(volume for volume, _ in kept)
        clues += [Clue("volumes", volume.path, node.path, node.line) for volume, node in kept]
    settings = _settings(container, all_of)
    if settings:
        facts["env"] = tuple(variable for variable, _ in settings)
        clues += [Clue(f"env.{variable.name}", "", node.path, node.line) for variable, node in settings]
    return facts, clues


def ports(node: Node | None) -> tuple[Port, ...]:
    found: dict[int, Port] = {}
    for item in each(node):
        opened = number(at(item, "containerPort"))
        if opened:
            found.setdefault(opened, Port(port=opened, protocol=_protocol(item)))
    return tuple(found.values())


def _protocol(port: Node) -> Literal["http", "grpc", "udp"]:
    if text_of(at(port, "protocol")) == "UDP":
        return "udp"
    return "grpc" if text_of(at(port, "name")).startswith("grpc") else "http"


def health(probe: Node, container: Node) -> HealthCheck | None:
    """An address by name is the port of that name."""
    timing: dict[str, Any] = {ours: n for theirs, ours in _TIMINGS.items() if (n := number(at(probe, theirs)))}
    http, tcp, grpc, command = (at(probe, key) for key in ("httpGet", "tcpSocket", "grpc", "exec"))
    if http:
        port = _port(at(http, "port"), container)
        return HealthCheck(type="http", path=text_of(at(http, "path")) or "/", port=port, **timing)
    if tcp:
        return HealthCheck(type="tcp", port=_port(at(tcp, "port"), container), **timing)
    if grpc:
        return HealthCheck(type="grpc", port=_port(at(grpc, "port"), container), **timing)
    words = _words(at(command, "command"))
    return HealthCheck(type="command", command=words, **timing) if words else None


_TIMINGS = {"periodSeconds": "interval_s", "timeoutSeconds": "timeout_s", "failureThreshold": "retries"}


def resources(node: Node | None) -> Resources | None:
    """Limits, else requests. Zero where nothing is said."""
    given = {**texts(at(node, "requests")), **texts(at(node, "limits"))}
    where = node.where if node else ""
    found = Resources(
        cpu_millis=cpu_millis(given["cpu"], where) if "cpu" in given else 0,
        memory_bytes=memory_bytes(given["memory"], where) if "memory" in given else 0,
        gpu_millis=sum(1000 * int(n) for name, n in given.items() if name.endswith("/gpu") and _FEW.fullmatch(n)),
    )
    return found if found != Resources() else None


def number(node: Node | None) -> int | None:
    """A positive one that could be a port."""
    text = text_of(node)
    return int(text) if re.fullmatch(r"[1-9][0-9]{0,4}", text) and int(text) < _BACK else None


def shown(node: Node) -> str:
    """The scalars in it, as they are written."""
    if isinstance(node.value, dict):
        return " ".join(f"{key}: {shown(value)}" for key, value in node.value.items())[:200]
    if isinstance(node.value, list):
        return " ".join(shown(item) for item in node.value)[:200]
    return node.raw[:200]


def _settings(container: Node, all_of: Manifests) -> list[tuple[EnvVar, Node]]:
    """`env` comes over `envFrom`; of a name the last counts."""
    found: dict[str, tuple[EnvVar, Node]] = {}
    for item in each(at(container, "envFrom")):
        prefix = text_of(at(item, "prefix"))
        for key, kind in _HOLDERS:
            for name, held in all_of.values(kind, text_of(at(item, f"{key}Ref", "name"))).items():
                if _NAME.fullmatch(prefix + name):
                    found[prefix + name] = EnvVar(name=prefix + name, value=held), item
    for item in each(at(container, "env")):
        name = text_of(at(item, "name"))
        if _NAME.fullmatch(name) and not _of_the_pod(item):
            value = _value(item, all_of)
            found[name] = EnvVar(name=name, value=value, required=value is None and not _optional(item)), item
    return list(found.values())


_HOLDERS = (("configMap", "ConfigMap"), ("secret", "Secret"))


def _value(item: Node, all_of: Manifests) -> str | None:
    """None where it comes from what the repository does not hold."""
    for key, kind in _HOLDERS:
        source = at(item, "valueFrom", f"{key}KeyRef")
        if source:
            return all_of.values(kind, text_of(at(source, "name"))).get(text_of(at(source, "key")))
    return text_of(at(item, "value"))


def _optional(item: Node) -> bool:
    return any(text_of(at(item, "valueFrom", f"{key}KeyRef", "optional")) == "true" for key, _ in _HOLDERS)


def _of_the_pod(item: Node) -> bool:
    """Its own name, its node: there is none here."""
    return at(item, "valueFrom", "fieldRef") is not None or at(item, "valueFrom", "resourceFieldRef") is not None


def _volumes(manifest: Manifest, container: Node) -> list[tuple[Volume, Node]]:
    """Those that are kept: claims. What is empty at first, or holds settings, is none."""
    pod = manifest.pod()
    claims = {text_of(at(item, "name")) for item in each(at(pod, "volumes")) if at(item, "persistentVolumeClaim")}
    claims |= {text_of(at(item, "metadata", "name")) for item in each(manifest.at("spec", "volumeClaimTemplates"))}
    found: list[tuple[Volume, Node]] = []
    for mount in each(at(container, "volumeMounts")):
        name, path = text_of(at(mount, "name")), text_of(at(mount, "mountPath"))
        if name in claims and path.startswith("/"):
            found.append((Volume(name=component_name(name), path=path), mount))
    return found


def _port(node: Node | None, container: Node) -> int | None:
    named = {text_of(at(item, "name")): at(item, "containerPort") for item in each(at(container, "ports"))}
    return number(node) or number(named.get(text_of(node)))


def _words(node: Node | None) -> tuple[str, ...]:
    return tuple(text_of(item) for item in each(node))
