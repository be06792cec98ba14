"""`iarnet.yaml`, our own format (docs/schemas/iarnet.schema.json). Strict: a name it does not know is an error."""

import posixpath
from collections.abc import Callable
from typing import Any, TypeVar, get_args

from pydantic import ValidationError

from iarnet.analysis.base import Clue, Declared, Files, Structure
from iarnet.analysis.names import component_name, did_you_mean
from iarnet.analysis.structures import compose_fields as compose
from iarnet.analysis.structures.nodes import Node, load
from iarnet.analysis.structures.quantities import cpu_millis, memory_bytes, program, seconds
from iarnet.models.component import Build, ComponentKind, Ejection, EnvVar, HealthCheck, Limits, Port, Volume
from iarnet.models.edge import Condition, Edge
from iarnet.models.resources import Resources

FILES = ("iarnet.yaml", "iarnet.yml")
PROTOCOLS = ("http", "grpc", "websocket", "tcp", "udp")

Made = TypeVar("Made")


class IarnetYaml:
    name = "iarnet.yaml"
    whole = True

    def read(self, files: Files) -> Structure | None:
        path = next((name for name in FILES if files.exists(name)), None)
        if path is None:
            return None
        document = load(files, path)
        top = _known(document, ("components", "version"), "iarnet.yaml")
        components = top["components"].mapping("components") if "components" in top else {}
        if not components:
            raise document.refuse("iarnet.yaml declares no component", "write `components:` with at least one name")
        structure = Structure()
        for name, node in components.items():
            if component_name(name) != name:
                hint = f"lower case, digits and dashes: {component_name(name)}"
                raise node.refuse(f"{name[:60]!r} is no name of a component", hint)
            structure.components.append(_component(name, node))
            _edges(structure, name, node, components)
        return structure


def _component(name: str, node: Node) -> Declared:
    given = _known(node, KEYS, f"component {name}")
    declared = Declared(name)
    declared.clues.append(Clue("component", name, node.path, node.line))
    if "image" in given and ("build" in given or "dockerfile" in given):
        raise given["image"].refuse(f"{name} has both image and build", "keep one of them")
    for key, (target, read) in _FIELDS.items():
        if key in given:
            declared.facts[target] = read(given[key])
            declared.clues.append(Clue(target, compose.shown(given[key]), node.path, given[key].line))
    declared.root = declared.facts.pop("root", None)
    _build(declared, given)
    env = (*declared.facts.pop("env", ()), *declared.facts.pop("secrets", ()))
    if env:
        declared.facts["env"] = env
    _publish(declared, given)
    return declared


def _build(declared: Declared, given: dict[str, Node]) -> None:
    """`root` is where the code is, and the build context unless `build` says another."""
    node = given.get("build") or given.get("dockerfile")
    if node is None:
        return
    details = _known(node, BUILD_KEYS, "build") if isinstance(node.value, dict) else {}
    context = declared.root or "."
    if "context" in details:
        context = _path(details["context"])
    elif "build" in given and not details:
        context = _path(node)
    declared.root = declared.root or context
    dockerfile = details.get("dockerfile") or given.get("dockerfile")
    if dockerfile is None and not details:
        declared.facts["context"] = context
        return
    path = _path(dockerfile, context) if dockerfile else posixpath.normpath(posixpath.join(context, "Dockerfile"))
    args = compose.environment(details["args"], {}) if "args" in details else {}
    declared.facts["build"] = Build(
        context=context,
        dockerfile=path,
        target=details["target"].text("target") if "target" in details else None,
        args={name: setting.value or "" for name, setting in args.items()},
    )
    declared.clues.append(Clue("build", path, node.path, node.line))


def _publish(declared: Declared, given: dict[str, Node]) -> None:
    if "publish" not in given:
        return
    node = given["publish"]
    ports: tuple[Port, ...] = declared.facts.get("ports", ())
    if isinstance(node.value, bool):
        declared.facts["publish"] = "auto" if node.value else "no"
        return
    host = _port_number(node)
    if ports:
        declared.facts["ports"] = (ports[0].model_copy(update={"publish": "exact", "host_port": host}), *ports[1:])
    else:
        declared.facts["publish"] = host


def _edges(structure: Structure, name: str, node: Node, components: dict[str, Node]) -> None:
    given = node.mapping(name)
    needs = given.get("needs")
    if needs is None:
        return
    if isinstance(needs.value, dict):
        wanted = [(key, value, _condition(value)) for key, value in needs.value.items()]
    else:
        wanted = [(item.text("needs"), item, None) for item in needs.items("needs")]
    for target, place, condition in wanted:
        if target not in components:
            raise place.refuse(f"{name} needs {target!r}, which is no component", did_you_mean(target, components))
        if target == name:
            raise place.refuse(f"{name} needs itself")
        declared_kind = components[target].mapping(target).get("kind")
        default: Condition = "completed" if declared_kind and declared_kind.raw == "job" else "healthy"
        structure.edges.append(Edge(from_=name, to=target, type="order", condition=condition or default))
        structure.edge_clues.append(Clue(f"{name}->{target}", condition or default, place.path, place.line))


def _condition(node: Node) -> Condition | None:
    if node.value is None:
        return None
    text = node.text("condition")
    if text not in get_args(Condition):
        raise node.refuse(f"{text!r} is no condition", did_you_mean(text, get_args(Condition)))
    return text  # type: ignore[return-value]


def _known(node: Node, keys: tuple[str, ...], what: str) -> dict[str, Node]:
    given = node.mapping(what)
    for key, value in given.items():
        if key not in keys:
            raise value.refuse(f"{what} has no {key!r}", did_you_mean(key, keys))
    return given


def _kind(node: Node) -> str:
    text = node.text("kind")
    if text not in get_args(ComponentKind):
        raise node.refuse(f"{text!r} is no kind of component", did_you_mean(text, get_args(ComponentKind)))
    return text


def _path(node: Node, folder: str = ".") -> str:
    text = node.text("path")
    path = posixpath.normpath(posixpath.join(folder, text))
    if text.startswith("/") or path.startswith("..") or "\0" in path:
        raise node.refuse(f"{text!r} lies outside the repository", "write a path relative to its root")
    return path


def _start(node: Node) -> str:
    if isinstance(node.value, list):
        raise node.refuse("command must be one line of text", "write it as you would type it")
    return node.text("command")


def _ports(node: Node) -> tuple[Port, ...]:
    return tuple(_port(item) for item in node.items("ports"))


def _port(node: Node) -> Port:
    if not isinstance(node.value, dict):
        number, _, protocol = node.text("port").partition("/")
        node = Node({"port": Node(_number(number), node.path, node.line, raw=number)}, node.path, node.line)
        if protocol:
            node.mapping("port")["protocol"] = Node(protocol, node.path, node.line, raw=protocol)
    given = _known(node, ("port", "protocol"), "a port")
    if "port" not in given:
        raise node.refuse("a port needs `port`")
    protocol = given["protocol"].text("protocol") if "protocol" in given else "http"
    if protocol not in PROTOCOLS:
        raise given["protocol"].refuse(f"{protocol!r} is no protocol", did_you_mean(protocol, PROTOCOLS))
    return Port.model_validate({"port": _port_number(given["port"]), "protocol": protocol})


def _number(text: str) -> int | str:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else text


def _port_number(node: Node) -> int:
    number = node.integer("a port")
    if not 0 < number < 65536:
        raise node.refuse("a port is a number from 1 to 65535")
    return number


def _env(node: Node) -> tuple[EnvVar, ...]:
    """A name without a value has to be set by the user."""
    for name, value in node.mapping("env").items():
        _env_name(value, name)
    settings = compose.environment(node, {})
    return tuple(EnvVar(name=name, value=s.value, required=s.value is None) for name, s in settings.items())


def _secrets(node: Node) -> tuple[EnvVar, ...]:
    """A list of names that the user gives, or a mapping to templates and generated secrets (`component/name`)."""
    if not isinstance(node.value, dict):
        return tuple(
            EnvVar(name=_env_name(item, item.text("secrets")), required=True) for item in node.items("secrets")
        )
    return tuple(
        EnvVar(name=_env_name(value, name), value="{secret}", secret=value.text("secrets"))
        if value.value is not None
        else EnvVar(name=_env_name(value, name), required=True)
        for name, value in node.value.items()
    )


def _env_name(node: Node, name: str) -> str:
    if not compose.env_name(name):
        raise node.refuse(f"{name[:60]!r} is no name of a setting", "letters, digits and _")
    return name


def _health(node: Node) -> HealthCheck:
    """`none`, a path, or a mapping."""
    if not isinstance(node.value, dict):
        text = node.text("health")
        return HealthCheck(type="none") if text == "none" else HealthCheck(type="http", path="/" + text.lstrip("/"))
    given = _known(node, HEALTH_KEYS, "health")
    facts: dict[str, Any] = {}
    if "path" in given:
        facts |= {"type": "http", "path": "/" + given["path"].text("path").lstrip("/")}
    if "service" in given:
        facts |= {"type": "grpc", "service": given["service"].text("service")}
    if "command" in given:
        facts |= {"type": "command", "command": _vector(given["command"])}
    if "type" in given:
        facts["type"] = given["type"].text("type")
        if facts["type"] not in HEALTH_TYPES:
            raise given["type"].refuse(
                f"{facts['type']!r} is no health check", did_you_mean(facts["type"], HEALTH_TYPES)
            )
    if facts.get("type") == "command" and not facts.get("command"):
        raise node.refuse("a health check of type command needs `command`")
    if "port" in given:
        facts["port"] = _port_number(given["port"])
    for key, target in (("interval", "interval_s"), ("timeout", "timeout_s"), ("start_period", "start_period_s")):
        if key in given:
            facts[target] = _duration(given[key])
    if "retries" in given:
        facts["retries"] = max(1, given["retries"].integer("retries"))
    return _made(HealthCheck, facts, node)


def _limits(node: Node) -> Limits:
    given = _known(node, LIMIT_KEYS, "limits")
    return _made(Limits, {key: value.integer(key) for key, value in given.items()}, node)


def _ejection(node: Node) -> Ejection:
    given = _known(node, EJECTION_KEYS, "ejection")
    facts: dict[str, Any] = {key: given[key].integer(key) for key in ("after", "percent") if key in given}
    return _made(Ejection, facts | ({"for_s": _duration(given["for"])} if "for" in given else {}), node)


def _made(kind: Callable[..., Made], facts: dict[str, Any], node: Node) -> Made:
    try:
        return kind(**facts)
    except ValidationError as error:
        first = error.errors()[0]
        raise node.refuse(f"{first['loc'][0]}: {first['msg']}") from error


def _vector(node: Node) -> tuple[str, ...]:
    if isinstance(node.value, list):
        return tuple(item.text("command") for item in node.value)
    return program(node.text("command"), node.where)


def _duration(node: Node) -> float:
    duration = seconds(node.text("duration"), node.where)
    if duration <= 0:
        raise node.refuse("a duration must be above zero")
    return duration


def _resources(node: Node) -> Resources:
    given = _known(node, ("cpu", "memory", "storage", "gpu"), "resources")
    read = {"cpu": ("cpu_millis", cpu_millis), "gpu": ("gpu_millis", cpu_millis)}
    read |= {"memory": ("memory_bytes", memory_bytes), "storage": ("storage_bytes", memory_bytes)}
    return Resources(**{read[key][0]: read[key][1](value.text(key), value.where) for key, value in given.items()})


def _volumes(node: Node) -> tuple[Volume, ...]:
    """`name: /path`, or a list of `name:/path`."""
    if isinstance(node.value, dict):
        pairs = [(name, value.text("volumes"), value) for name, value in node.value.items()]
    else:
        pairs = [(*item.text("volumes").partition(":")[::2], item) for item in node.items("volumes")]
    return tuple(_volume(name, path, place) for name, path, place in pairs)


def _volume(name: str, path: str, node: Node) -> Volume:
    try:
        return Volume(name=name, path=path)
    except ValueError as error:
        raise node.refuse(f"{name[:40]}:{path[:60]} is no volume", "write name:/path/in/container") from error


def _replicas(node: Node) -> int:
    number = node.integer("replicas")
    if not 0 <= number <= 100:
        raise node.refuse("replicas must be 0 to 100")
    return number


_FIELDS: dict[str, tuple[str, Callable[[Node], Any]]] = {
    "root": ("root", _path),
    "kind": ("kind", _kind),
    "image": ("image", lambda node: node.text("image")),
    "command": ("start_command", _start),
    "ports": ("ports", _ports),
    "env": ("env", _env),
    "secrets": ("secrets", _secrets),
    "health": ("health", _health),
    "limits": ("limits", _limits),
    "ejection": ("ejection", _ejection),
    "resources": ("resources", _resources),
    "volumes": ("volumes", _volumes),
    "replicas": ("replicas", _replicas),
    "user": ("user", lambda node: node.text("user")),
    "capabilities": ("capabilities", compose.capabilities),
    "working_dir": ("working_dir", lambda node: node.text("working_dir")),
}
KEYS = (*_FIELDS, "build", "dockerfile", "publish", "needs")
BUILD_KEYS = ("context", "dockerfile", "target", "args")
HEALTH_KEYS = ("type", "path", "service", "port", "command", "interval", "timeout", "start_period", "retries")
HEALTH_TYPES = ("http", "grpc", "tcp", "command", "none")
LIMIT_KEYS = tuple(Limits.model_fields)
EJECTION_KEYS = ("after", "for", "percent")
