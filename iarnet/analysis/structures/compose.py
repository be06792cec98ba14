"""Compose files (https://compose-spec.io): services, what they need and how they are checked."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from iarnet.analysis.base import Clue, Declared, Files, Structure
from iarnet.analysis.files import IGNORED
from iarnet.analysis.names import component_name, did_you_mean, unique, words
from iarnet.analysis.structures import compose_fields as fields
from iarnet.analysis.structures.compose_files import FILES, ComposeFiles
from iarnet.analysis.structures.nodes import Node
from iarnet.analysis.structures.variables import Interpolation, env_file
from iarnet.models.analysis import Warning
from iarnet.models.component import EnvVar
from iarnet.models.edge import Condition, Edge

_CONDITIONS: dict[str, Condition] = {
    "service_started": "started",
    "service_healthy": "healthy",
    "service_completed_successfully": "completed",
}
_SILENT = words(
    "build command container_name cpus mem_limit depends_on deploy entrypoint env_file environment expose extends "
    "healthcheck hostname image init labels links logging networks platform ports profiles pull_policy restart "
    "stdin_open stop_grace_period stop_signal tty user volumes working_dir cap_add cap_drop annotations develop "
    "scale mem_reservation attach"
)


class Compose:
    """The first of `FILES`; services of a profile are left out, as `docker compose up` does."""

    name = "compose"
    whole = True

    def read(self, files: Files) -> Structure | None:
        path = next((name for name in FILES if files.exists(name)), None)
        return _Reader(files, path).read() if path else None


@dataclass
class _Reader:
    files: Files
    path: str
    structure: Structure = field(default_factory=Structure)
    names: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    sources: ComposeFiles = field(init=False)

    def read(self) -> Structure:
        self.variables = env_file(self.files, ".env") or {}
        interpolation = Interpolation(self.variables)
        self.sources = ComposeFiles(self.files, interpolation.apply)
        document = self.sources.document(self.path)
        services = self._services()
        for name in services:
            self.names[name] = unique(component_name(name), self.names.values())
        self.aliases = {alias: self.names[name] for name in services for alias in _hosts(name, services[name])}
        for name, service in services.items():
            self.structure.components.append(self._component(name, service))
            self._edges(name, service)
        for variable in sorted(interpolation.missing):
            self._warn("unset-variable", f"${{{variable}}} has no value; it counts as empty, as in compose", document)
        if "networks" in document.mapping("a compose file"):
            self._warn("networks-ignored", "all components of an app share one network", document, severity="info")
        return self.structure

    def _services(self) -> dict[str, Node]:
        services = self.sources.services(self.path)
        chosen: dict[str, Node] = {}
        for name, service in services.items():
            extended = self._extended(name, services, ())
            if extended.mapping(f"service {name}").get("profiles"):
                self._warn("profile-skipped", f"{name} runs only with a profile; it is left out", service, "info")
            else:
                chosen[name] = extended
        return chosen

    def _extended(self, name: str, services: dict[str, Node], trail: tuple[tuple[str, str], ...]) -> Node:
        """The service with what it `extends` beneath it."""
        service = services[name]
        own = service.mapping(f"service {name}")
        if "extends" not in own:
            return service
        extends = own["extends"]
        given = extends.mapping("extends") if isinstance(extends.value, dict) else {"service": extends}
        others = self.sources.extended(extends, given) if "file" in given else services
        base = given["service"].text("extends.service") if "service" in given else ""
        if base not in others:
            raise extends.refuse(f"there is no service {base!r} to extend", did_you_mean(base, others))
        passed = (*trail, (service.path, name))
        if (others[base].path, base) in passed:
            raise extends.refuse(f"{base!r} extends itself", "take one `extends` out of the circle")
        under = self._extended(base, others, passed)
        return Node(fields.merged(under.mapping(base), own), service.path, service.line)

    def _component(self, name: str, service: Node) -> Declared:
        given = service.mapping(f"service {name}")
        declared = Declared(self.names[name])
        declared.clues.append(Clue("component", name, service.path, service.line))
        if {"cpus", "mem_limit", "scale"} & set(given):
            given = fields.as_deploy(given)
        for key, target, read in _FIELDS:
            if key in given:
                self._take(declared, target, given[key], read(given[key]))
        if "build" in given:
            self._build(declared, given)
        self._environment(declared, given)
        self._volumes(declared, given)
        for key in sorted(set(given) - _SILENT):
            if not key.startswith("x-"):
                self._warn("not-supported", f"{name}.{key} has no effect here", given[key])
        if not {"image", "build"} & set(declared.facts) and "build" not in given:
            raise service.refuse(f"service {name} has neither image nor build", "give it one of them")
        return declared

    def _take(self, declared: Declared, target: str, node: Node, value: Any) -> None:
        if value is None:
            return
        if target == "ports" and "ports" in declared.facts:
            known = {(port.port, port.protocol) for port in declared.facts["ports"]}
            value = (*declared.facts["ports"], *(port for port in value if (port.port, port.protocol) not in known))
        declared.facts[target] = value
        declared.clues.append(Clue(target, fields.shown(node), node.path, node.line))

    def _build(self, declared: Declared, given: dict[str, Node]) -> None:
        """An image beside a build is only the name of what is built."""
        declared.facts.pop("image", None)
        build = fields.build(given["build"])
        if self._installed(build.context):
            declared.root = "."
            message = (
                f"{build.context} is not in the repository but comes with its dependencies; the build is generated"
            )
            self._warn("generated-build", message, given["build"], "info")
            return
        declared.root = build.context
        self._take(declared, "build", given["build"], build)

    def _installed(self, folder: str) -> bool:
        return not IGNORED.isdisjoint(folder.split("/")) and not self.files.exists(f"{folder}/Dockerfile")

    def _environment(self, declared: Declared, given: dict[str, Node]) -> None:
        settings: dict[str, fields.Setting] = {}
        for node, path, required in fields.env_files(given.get("env_file")):
            found = env_file(self.files, path)
            if found is not None:
                settings |= {name: fields.Setting(value, node.line) for name, value in found.items()}
            elif required:
                self._warn("env-file-missing", f"{path} is not in the repository; set its values on the app", node)
        if "environment" in given:
            settings |= fields.environment(given["environment"], self.variables)
        if settings:
            env = tuple(self._variable(name, s) for name, s in settings.items() if fields.env_name(name))
            declared.facts["env"] = env
            declared.clues += [Clue(f"env.{name}", "", self.path, setting.line) for name, setting in settings.items()]

    def _variable(self, name: str, setting: fields.Setting) -> EnvVar:
        """A service's other host names (`container_name`, `my_db`) become the component's."""
        value = setting.value
        for alias, component in self.aliases.items():
            if value and alias != component and alias in value:
                value = re.sub(rf"(?<![\w.-]){re.escape(alias)}(?![\w.-])", component, value)
        return EnvVar(name=name, value=value, required=setting.required)

    def _volumes(self, declared: Declared, given: dict[str, Node]) -> None:
        """Named volumes are kept; of bind mounts only what the repository has can go into the image."""
        if "volumes" not in given:
            return
        kept, mounts = fields.volumes(given["volumes"])
        if kept:
            self._take(declared, "volumes", given["volumes"], tuple(kept))
        baked: list[tuple[str, str]] = []
        for node, source, target in mounts:
            inside = fields.inside(source)
            built = "build" in declared.facts
            if built or inside is None or not self._has(inside):
                because = "the image has what its build copies" if built and inside else "it is not in the repository"
                self._warn("not-mounted", f"{source} is not mounted at {target}: {because}", node)
            else:
                baked.append((inside, target))
                self._warn("baked", f"{source} is not mounted but copied into the image at {target}", node)
        if baked:
            declared.facts["baked"] = tuple(baked)

    def _has(self, path: str) -> bool:
        return self.files.exists(path) or bool(self.files.paths(path, depth=2))

    def _edges(self, name: str, service: Node) -> None:
        given = service.mapping(name)
        for node, needed, condition, sure in [*_depends_on(given.get("depends_on")), *_links(given.get("links"))]:
            if needed not in self.names and _optional(node):
                continue
            if needed not in self.names:
                raise node.refuse(
                    f"{name} needs {needed!r}, which is no service here", did_you_mean(needed, self.names)
                )
            edge = Edge(from_=self.names[name], to=self.names[needed], type="order", condition=condition)
            if edge.to not in [known.to for known in self.structure.edges if known.from_ == edge.from_]:
                self.structure.edges.append(edge)
                clue = Clue(f"{edge.from_}->{edge.to}", condition, node.path, node.line, sure)
                self.structure.edge_clues.append(clue)

    def _warn(self, code: str, message: str, node: Node, severity: Any = "warning") -> None:
        self.structure.warnings.append(
            Warning(code=code, message=message, file=node.path, line=node.line, severity=severity)
        )


_FIELDS: tuple[tuple[str, str, Callable[[Node], Any]], ...] = (
    ("image", "image", lambda node: node.text("image").strip() or None),
    ("command", "command", lambda node: fields.command(node, "command")),
    ("entrypoint", "entrypoint", lambda node: fields.command(node, "entrypoint")),
    ("ports", "ports", fields.ports),
    ("expose", "ports", fields.expose),
    ("healthcheck", "health", fields.health),
    ("deploy", "resources", fields.resources),
    ("deploy", "replicas", fields.replicas),
    ("user", "user", lambda node: node.text("user") or None),
    ("working_dir", "working_dir", lambda node: node.text("working_dir") or None),
    ("cap_add", "capabilities", fields.capabilities),
)


Need = tuple[Node, str, Condition, float]
SHORT = 0.9
"""The confidence of a condition that nobody wrote."""


def _depends_on(node: Node | None) -> list[Need]:
    """The short form asks for `started`."""
    if node is None:
        return []
    if not isinstance(node.value, dict):
        return [(item, item.text("depends_on"), "started", SHORT) for item in node.items("depends_on")]
    found: list[Need] = []
    for name, details in node.value.items():
        given = details.mapping(f"depends_on.{name}")
        text = given["condition"].text("condition") if "condition" in given else "service_started"
        if text not in _CONDITIONS:
            raise details.refuse(f"{text!r} is no condition", did_you_mean(text, _CONDITIONS))
        found.append((details, name, _CONDITIONS[text], 1.0))
    return found


def _optional(node: Node) -> bool:
    """`required: false`: fine without."""
    return isinstance(node.value, dict) and "required" in node.value and node.value["required"].value is False


def _links(node: Node | None) -> list[Need]:
    items = node.items("links") if node else []
    return [(item, item.text("links").split(":")[0], "started", SHORT) for item in items]


def _hosts(name: str, service: Node) -> list[str]:
    """The names under which compose lets a service be found."""
    given = service.mapping(name)
    return [name, *(given[key].raw for key in ("container_name", "hostname") if key in given and given[key].raw)]
