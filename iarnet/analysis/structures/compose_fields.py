"""The fields of a compose service, each from its YAML to our terms."""

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from iarnet.analysis.structures.compose_merge import merged
from iarnet.analysis.structures.nodes import Node
from iarnet.analysis.structures.quantities import cpu_millis, memory_bytes, seconds, words
from iarnet.models.component import HARMLESS_CAPABILITIES, Build, HealthCheck, Port
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


_OLDER = (
    ("limits", "cpus", "cpus"),
    ("limits", "memory", "mem_limit"),
    ("reservations", "memory", "mem_reservation"),
    ("reservations", "devices", "gpus"),
)


def as_deploy(given: dict[str, Node]) -> dict[str, Node]:
    """What is older than `deploy`, put where that has it; what `deploy` says itself wins."""
    given = _with_quota(given)
    old: dict[str, Node] = {"replicas": given["scale"]} if "scale" in given else {}
    resources: dict[str, dict[str, Node]] = {}
    for section, ours, theirs in _OLDER:
        if theirs in given:
            resources.setdefault(section, {})[ours] = given[theirs]
    if not (old or resources):
        return given
    node = given.get("deploy") or next(given[k] for k in (*(older[2] for older in _OLDER), "scale") if k in given)
    if resources:
        sections = {section: Node(dict(found), node.path, node.line) for section, found in resources.items()}
        old["resources"] = Node(dict(sections), node.path, node.line)
    deploy = given["deploy"].mapping("deploy") if "deploy" in given else {}
    return given | {"deploy": Node(merged(old, deploy), node.path, node.line)}


def _with_quota(given: dict[str, Node]) -> dict[str, Node]:
    """`cpu_quota` microseconds in each `cpu_period` are so many cores."""
    if "cpu_quota" not in given or "cpus" in given:
        return given
    node = given["cpu_quota"]
    period = seconds_or_micros(given["cpu_period"]) if "cpu_period" in given else 100_000
    cores = f"{max(0, node.integer('cpu_quota')) / max(1, period):.3f}"
    return given | {"cpus": Node(cores, node.path, node.line, raw=cores)}


def seconds_or_micros(node: Node) -> int:
    """Microseconds, from a number of them or a duration."""
    text = node.text("cpu_period")
    return int(text) if text.isdigit() else int(seconds(text, node.where) * 1_000_000)


def build(node: Node, variables: Mapping[str, str]) -> Build:
    if not isinstance(node.value, dict):
        node = Node({"context": node}, node.path, node.line)
    given = node.mapping("build")
    context = _context(given["context"]) if "context" in given else "."
    target = given["target"].text("build.target") if "target" in given else None
    args = (
        {name: s.value or "" for name, s in environment(given["args"], variables).items()} if "args" in given else {}
    )
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
    cpu = memory = gpus = 0
    for section in ("reservations", "limits"):
        amounts = declared[section].mapping(section) if section in declared else {}
        if "cpus" in amounts:
            cpu = cpu_millis(amounts["cpus"].text("cpus"), amounts["cpus"].where)
        if "memory" in amounts:
            memory = memory_bytes(amounts["memory"].text("memory"), amounts["memory"].where)
        gpus += _gpus(amounts["devices"]) if "devices" in amounts else 0
    if not (cpu or memory or gpus):
        return None
    return Resources(cpu_millis=cpu, memory_bytes=memory, gpu_millis=gpus * 1000)


def _gpus(node: Node) -> int:
    """Of the devices those that are GPUs; `all` is one, as nobody knows here how many there are."""
    if not isinstance(node.value, list):
        return 1
    found = 0
    for item in node.value:
        given = item.mapping("a device")
        kinds = (
            {kind.raw for kind in given["capabilities"].items("capabilities")} if "capabilities" in given else set()
        )
        ids = given["device_ids"].items("device_ids") if "device_ids" in given else []
        count = given["count"].raw if "count" in given else ""
        if not kinds or kinds & {"gpu", "nvidia", "compute"}:
            found += int(count) if count.isdigit() else len(ids) or 1
    return found


def job(node: Node) -> str | None:
    """What `deploy.mode` says of the kind."""
    given = node.mapping("deploy")
    return "job" if "mode" in given and given["mode"].raw in ("replicated-job", "global-job") else None


def processes(given: Mapping[str, Node]) -> Node | None:
    """`pids_limit`, or what `deploy` says of it."""
    node: Node | None = given.get("deploy")
    for key in ("resources", "limits", "pids"):
        node = node.mapping(key).get(key) if node else None
    return given.get("pids_limit", node)


def replicas(node: Node) -> int | None:
    given = node.mapping("deploy")
    if "replicas" not in given:
        return None
    number = given["replicas"].integer("replicas")
    if not 0 <= number <= 100:
        raise given["replicas"].refuse("replicas must be 0 to 100")
    return number


def added_capabilities(given: Mapping[str, Node]) -> tuple[str, ...]:
    """`cap_add` comes on top of what containers have: nothing where `cap_drop` takes it away or a user is named."""
    asked = capabilities(given["cap_add"]) if "cap_add" in given else ()
    dropped = capabilities(given["cap_drop"]) if "cap_drop" in given else ()
    usual = () if "ALL" in dropped or "user" in given or not asked else sorted(HARMLESS_CAPABILITIES)
    return tuple(dict.fromkeys((*asked, *usual)))


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


@dataclass(frozen=True)
class EnvFile:
    """`raw`: its values are as they are written."""

    node: Node
    path: str
    required: bool
    raw: bool


def env_files(node: Node | None) -> list[EnvFile]:
    found: list[EnvFile] = []
    items = [node] if node and isinstance(node.value, dict) else node.items("env_file") if node else []
    for item in items:
        given = item.mapping("env_file") if isinstance(item.value, dict) else {"path": item}
        path = _join(".", given["path"].text("env_file")) if "path" in given else None
        if path is None:
            raise item.refuse("env_file must be a path within the repository")
        required = not ("required" in given and given["required"].value is False)
        found.append(EnvFile(item, path, required, raw="format" in given and given["format"].raw == "raw"))
    return found


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
    if text.strip(" :/") == "":  # of variables without a value
        return []
    found = _SHORT_PORT.fullmatch(text.strip())
    if not found:
        raise item.refuse(f"{text[:60]!r} is not a port", 'write "8080:80"')
    inner, outer = _range(found[2], item), _range(found[1], item) if found[1] else []
    if len(outer) > 1 and len(inner) == 1:
        return [_port(item, inner[0], found[3], outer[0])]
    if outer and len(outer) != len(inner):
        raise item.refuse(f"{text!r} maps ranges of different lengths")
    return [_port(item, port, found[3], outer[at] if outer else None) for at, port in enumerate(inner)]


def outside(node: Node) -> Iterator[Node]:
    """The ports that ask for one address of the host."""
    for item in node.items("ports"):
        given = item.value.get("host_ip") if isinstance(item.value, dict) else None
        asked = given.raw if given else item.raw.rpartition(":")[0].rpartition(":")[0].strip("[]")
        if asked and asked not in ("0.0.0.0", "::"):
            yield item


def _long_port(item: Node) -> list[Port]:
    given = item.mapping("ports")
    if "target" not in given:
        raise item.refuse("a port needs a target")
    published = given["published"].text("published") if "published" in given else ""
    first = _range(published, item)[0] if published else None
    protocol = given["protocol"].text("protocol") if "protocol" in given else None
    port = _port(item, given["target"].integer("target"), protocol, first)
    spoken = _SPOKEN.get(given["app_protocol"].raw.lower()) if "app_protocol" in given else None
    return [port.model_copy(update={"protocol": spoken}) if spoken and port.protocol != "udp" else port]


_SPOKEN = {"http": "http", "http2": "http", "https": "tcp", "grpc": "grpc", "ws": "websocket", "tcp": "tcp"}
_SPOKEN |= {"websocket": "websocket"}


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


def _positive(node: Node) -> float:
    duration = seconds(node.text("duration"), node.where)
    if duration <= 0:
        raise node.refuse("a duration must be above zero")
    return duration
