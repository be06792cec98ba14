"""The fields of a compose service, each from its YAML to our terms."""

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass

from iarnet.analysis.names import component_name
from iarnet.analysis.structures.nodes import Node
from iarnet.analysis.structures.quantities import cpu_millis, memory_bytes, seconds, words
from iarnet.models.component import Build, HealthCheck, Port, Volume
from iarnet.models.resources import Resources

MAX_RANGE = 100
_SHORT_PORT = re.compile(
    r"(?:(?:\[[0-9a-fA-F:]+\]|[0-9]+(?:\.[0-9]+){3}):)?(?:([0-9]{0,5}(?:-[0-9]{1,5})?):)?([0-9]{1,5}(?:-[0-9]{1,5})?)(?:/(tcp|udp))?"
)
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,255}")


@dataclass(frozen=True)
class Setting:
    value: str | None
    line: int
    required: bool = False


def env_name(name: str) -> bool:
    return _ENV_NAME.fullmatch(name) is not None


def shown(node: Node) -> str:
    """A short text of a value, for evidence."""
    if isinstance(node.value, list):
        return ", ".join(item.raw for item in node.value)[:200]
    return ", ".join(node.value)[:200] if isinstance(node.value, dict) else node.raw[:200]


def merged(under: dict[str, Node], over: dict[str, Node]) -> dict[str, Node]:
    """`extends`: mappings are merged one level deep, lists joined, everything else replaced."""
    result = dict(under)
    for key, node in over.items():
        below = result.get(key)
        if below and isinstance(below.value, dict) and isinstance(node.value, dict):
            result[key] = Node(below.value | node.value, node.path, node.line)
        elif below and isinstance(below.value, list) and isinstance(node.value, list) and key not in _REPLACED:
            result[key] = Node([*below.value, *node.value], node.path, node.line)
        else:
            result[key] = node
    result.pop("extends", None)
    return result


_REPLACED = frozenset({"command", "entrypoint"})


def as_deploy(given: dict[str, Node]) -> dict[str, Node]:
    """The older `cpus`, `mem_limit` and `scale`, put where `deploy` has them."""
    node = next(given[key] for key in ("cpus", "mem_limit", "scale") if key in given)
    limits = {ours: given[theirs] for theirs, ours in (("cpus", "cpus"), ("mem_limit", "memory")) if theirs in given}
    old = {"resources": Node({"limits": Node(dict(limits), node.path, node.line)}, node.path, node.line)}
    if "scale" in given:
        old["replicas"] = given["scale"]
    deploy = given["deploy"].mapping("deploy") if "deploy" in given else {}
    return given | {"deploy": Node(old | deploy, node.path, node.line)}


def build(node: Node) -> Build:
    if not isinstance(node.value, dict):
        node = Node({"context": node}, node.path, node.line)
    given = node.mapping("build")
    context = _context(given["context"]) if "context" in given else "."
    target = given["target"].text("build.target") if "target" in given else None
    args = {name: s.value or "" for name, s in environment(given["args"], {}).items()} if "args" in given else {}
    if "dockerfile_inline" in given:
        return Build(context=context, recipe=given["dockerfile_inline"].text("dockerfile_inline"), args=args)
    name = given["dockerfile"].text("build.dockerfile") if "dockerfile" in given else "Dockerfile"
    path = _join(context, name)
    if path is None:
        raise node.refuse(f"the Dockerfile {name!r} lies outside the repository")
    return Build(context=context, dockerfile=path, target=target, args=args)


def command(node: Node, what: str) -> tuple[str, ...] | None:
    """A text is split as compose does it, without a shell; null leaves the image's own."""
    if node.value is None:
        return None
    if isinstance(node.value, list):
        return tuple(item.text(what) for item in node.value)
    return words(node.text(what), node.where)


def ports(node: Node) -> tuple[Port, ...]:
    found: dict[tuple[int, bool], Port] = {}
    for item in node.items("ports"):
        for port in _long_port(item) if isinstance(item.value, dict) else _short_ports(item):
            found.setdefault((port.port, port.protocol == "udp"), port)
    return tuple(found.values())


def expose(node: Node) -> tuple[Port, ...]:
    found = [port for item in node.items("expose") for port in _short_ports(item)]
    return tuple(Port(port=port.port, protocol=port.protocol) for port in found)


def health(node: Node) -> HealthCheck | None:
    given = node.mapping("healthcheck")
    if "disable" in given and given["disable"].value is True:
        return HealthCheck(type="none")
    if "test" not in given:
        return None
    test = given["test"]
    parts = [item.text("healthcheck.test") for item in test.items("healthcheck.test")]
    if parts[:1] == ["NONE"]:
        return HealthCheck(type="none")
    vector = parts[1:] if isinstance(test.value, list) else ["/bin/sh", "-c", *parts]
    if parts[:1] == ["CMD-SHELL"]:
        vector = ["/bin/sh", "-c", *parts[1:2]]
    if not vector or (isinstance(test.value, list) and parts[0] not in ("CMD", "CMD-SHELL")):
        raise test.refuse("healthcheck.test must begin with CMD, CMD-SHELL or NONE")
    timing = {ours: _positive(given[theirs]) for theirs, ours in _TIMINGS.items() if theirs in given}
    retries = given["retries"].integer("retries") if "retries" in given else 3
    return HealthCheck(type="command", command=tuple(vector), retries=max(1, retries), **timing)


_TIMINGS = {"interval": "interval_s", "timeout": "timeout_s", "start_period": "start_period_s"}


def resources(node: Node) -> Resources | None:
    """`deploy.resources`: limits, else reservations. Zero where nothing is said."""
    given = node.mapping("deploy")
    declared = given["resources"].mapping("deploy.resources") if "resources" in given else {}
    cpu = memory = 0
    for section in ("reservations", "limits"):
        amounts = declared[section].mapping(section) if section in declared else {}
        if "cpus" in amounts:
            cpu = cpu_millis(amounts["cpus"].text("cpus"), amounts["cpus"].where)
        if "memory" in amounts:
            memory = memory_bytes(amounts["memory"].text("memory"), amounts["memory"].where)
    return Resources(cpu_millis=cpu, memory_bytes=memory) if cpu or memory else None


def replicas(node: Node) -> int | None:
    given = node.mapping("deploy")
    if "replicas" not in given:
        return None
    number = given["replicas"].integer("replicas")
    if not 0 <= number <= 100:
        raise given["replicas"].refuse("replicas must be 0 to 100")
    return number


def capabilities(node: Node) -> tuple[str, ...]:
    return tuple(item.text("cap_add").upper().removeprefix("CAP_") for item in node.items("cap_add"))


def environment(node: Node, variables: Mapping[str, str]) -> dict[str, Setting]:
    """A name without a value takes it from the variables, and stays without one when they have none."""
    if isinstance(node.value, dict):
        return {name: _setting(value, name, variables) for name, value in node.value.items()}
    found: dict[str, Setting] = {}
    for item in node.items("environment"):
        name, given, value = item.text("environment").partition("=")
        found[name] = Setting(value if given else variables.get(name), item.line)
    return found


def env_files(node: Node | None) -> list[tuple[Node, str, bool]]:
    """(node, path, required) of each file."""
    found: list[tuple[Node, str, bool]] = []
    items = [node] if node and isinstance(node.value, dict) else node.items("env_file") if node else []
    for item in items:
        given = item.mapping("env_file") if isinstance(item.value, dict) else {"path": item}
        path = _join(".", given["path"].text("env_file")) if "path" in given else None
        if path is None:
            raise item.refuse("env_file must be a path within the repository")
        found.append((item, path, not ("required" in given and given["required"].value is False)))
    return found


def volumes(node: Node) -> tuple[list[Volume], list[tuple[Node, str, str]]]:
    """Named and anonymous volumes; and mounts as (node, source, target)."""
    kept: dict[str, Volume] = {}
    mounts: list[tuple[Node, str, str]] = []
    for item in node.items("volumes"):
        source, target, read_only = _long_volume(item) if isinstance(item.value, dict) else _short_volume(item)
        if not target.startswith("/"):
            raise item.refuse(f"{target[:60]!r} must be an absolute path", "write source:/path/in/container")
        if source.startswith((".", "/", "~")):
            mounts.append((item, source, target))
        else:
            name = component_name(source or target)
            kept[target] = Volume(name=name, path=target, read_only=read_only)
    return list(kept.values()), mounts


def inside(source: str) -> str | None:
    """The path within the repository, or None."""
    return None if source.startswith(("/", "~")) else _join(".", source)


def _setting(node: Node, name: str, variables: Mapping[str, str]) -> Setting:
    if node.unset:
        return Setting(None, node.line, required=node.unset == "required")
    if node.value is None:
        return Setting(variables.get(name), node.line)
    return Setting(node.text(f"environment.{name}"), node.line)


def _context(node: Node) -> str:
    text = node.text("build.context")
    context = None if "://" in text or text.startswith(("git@", "/", "~")) else _join(".", text)
    if context is None:
        raise node.refuse(
            f"the build context {text!r} lies outside the repository", "give a folder of the repository"
        )
    return context


def _join(folder: str, name: str) -> str | None:
    """The normal form of a path within the tree; None when it leaves it."""
    path = posixpath.normpath(posixpath.join(folder, name))
    return None if path.startswith(("/", "..")) or "\0" in path else path


def _short_ports(item: Node) -> list[Port]:
    text = item.text("ports")
    found = _SHORT_PORT.fullmatch(text.strip())
    if not found:
        raise item.refuse(f"{text[:60]!r} is not a port", 'write "8080:80"')
    inner, outer = _range(found[2], item), _range(found[1], item) if found[1] else []
    if len(outer) > 1 and len(inner) == 1:
        return [_port(item, inner[0], found[3], outer[0])]
    if outer and len(outer) != len(inner):
        raise item.refuse(f"{text!r} maps ranges of different lengths")
    return [_port(item, port, found[3], outer[at] if outer else None) for at, port in enumerate(inner)]


def _long_port(item: Node) -> list[Port]:
    given = item.mapping("ports")
    if "target" not in given:
        raise item.refuse("a port needs a target")
    published = given["published"].text("published") if "published" in given else ""
    first = _range(published, item)[0] if published else None
    protocol = given["protocol"].text("protocol") if "protocol" in given else None
    return [_port(item, given["target"].integer("target"), protocol, first)]


def _port(item: Node, port: int, protocol: str | None, host: int | None) -> Port:
    if not 0 < port < 65536 or (host is not None and not 0 < host < 65536):
        raise item.refuse("a port is a number from 1 to 65535")
    spoken = "udp" if protocol == "udp" else "http"
    if host is not None:
        return Port(port=port, protocol=spoken, publish="prefer", host_port=host)
    return Port(port=port, protocol=spoken, publish="auto")


def _range(text: str, item: Node) -> list[int]:
    first, _, last = text.partition("-")
    start, end = int(first or 0), int(last or first or 0)
    if not start <= end < start + MAX_RANGE:
        raise item.refuse(f"{text!r} is not a range of at most {MAX_RANGE} ports")
    return list(range(start, end + 1)) if start else []


def _short_volume(item: Node) -> tuple[str, str, bool]:
    parts = item.text("volumes").split(":")
    if len(parts) == 1:
        return "", parts[0], False
    return parts[0], parts[1], "ro" in parts[2].split(",") if len(parts) > 2 else False


def _long_volume(item: Node) -> tuple[str, str, bool]:
    given = {key: node.raw for key, node in item.mapping("volumes").items()}
    source, target = given.get("source", given.get("src", "")), given.get("target", given.get("dst", ""))
    if given.get("type") == "bind" and not source.startswith((".", "/", "~")):
        source = f"./{source}"
    return source, target, given.get("read_only") == "true"


def _positive(node: Node) -> float:
    duration = seconds(node.text("duration"), node.where)
    if duration <= 0:
        raise node.refuse("a duration must be above zero")
    return duration
