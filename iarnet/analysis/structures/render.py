"""Render's blueprints: the services of an application, their databases and how they find them.

https://render.com/docs/blueprint-spec
"""

import posixpath
import re
from dataclasses import dataclass, field
from typing import Any

from iarnet.analysis.base import Clue, Declared, Files, Structure
from iarnet.analysis.names import component_name, unique
from iarnet.analysis.structures.kubernetes_fields import number
from iarnet.analysis.structures.manifests import at, each, text_of
from iarnet.analysis.structures.nodes import Node, load
from iarnet.analysis.structures.quantities import program
from iarnet.models.analysis import Warning
from iarnet.models.component import Build, EnvVar, HealthCheck, Volume
from iarnet.models.edge import Edge

FILES = ("render.yaml", "render.yml")
_KINDS = {"web": "web", "pserv": "api", "worker": "worker", "job": "job"}
_CACHES = ("redis", "keyvalue")
_PARTS = {
    "connectionString": "url",
    "hostport": "address",
    **{part: part for part in ("host", "port", "user", "password", "database")},
}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,255}")


class Render:
    name = "render"
    whole = True

    def read(self, files: Files) -> Structure | None:
        path = next((name for name in FILES if files.exists(name)), None)
        return _Reader(load(files, path)).read() if path else None


@dataclass
class _Reader:
    document: Node
    structure: Structure = field(default_factory=Structure)
    names: dict[str, str] = field(default_factory=dict)

    def read(self) -> Structure:
        services = [one for one in each(at(self.document, "services")) if self._runs(one)]
        databases = each(at(self.document, "databases"))
        for one in (*services, *databases):
            name = text_of(at(one, "name"))
            self.names[name] = unique(component_name(name), self.names.values())
        for one in databases:
            self._add(one, _postgres(one))
        for one in services:
            self._add(one, _cache() if text_of(at(one, "type")) in _CACHES else self._service(one))
        return self.structure

    def _runs(self, service: Node) -> bool:
        kind, name = text_of(at(service, "type")), text_of(at(service, "name"))
        if kind == "cron":
            self._note(f"{name} is started at certain times, which is not done here; it is left out", service)
        return bool(name) and (kind in _KINDS or kind in _CACHES)

    def _add(self, node: Node, facts: dict[str, Any]) -> None:
        name = self.names[text_of(at(node, "name"))]
        declared = Declared(name, facts.pop("root", None), facts)
        declared.clues.append(Clue("component", name, node.path, node.line))
        for fact, key in _PLACES:
            place = at(node, key)
            if fact in facts and place:
                declared.clues.append(Clue(fact, text_of(place), place.path, place.line))
        self._settings(declared, [*each(at(node, "envVars"))])
        self.structure.components.append(declared)

    def _service(self, node: Node) -> dict[str, Any]:
        runtime = text_of(at(node, "runtime")) or text_of(at(node, "env"))
        root = posixpath.normpath(text_of(at(node, "rootDir")) or ".")
        kind = "static" if runtime == "static" else _KINDS[text_of(at(node, "type"))]
        facts: dict[str, Any] = {"root": root, "kind": kind}
        image = text_of(at(node, "image", "url"))
        if image:
            facts |= {"image": image, "root": None}
        elif runtime == "docker":
            dockerfile = posixpath.normpath(posixpath.join(root, text_of(at(node, "dockerfilePath")) or "Dockerfile"))
            context = posixpath.normpath(posixpath.join(root, text_of(at(node, "dockerContext")) or "."))
            facts["build"] = Build(context=context, dockerfile=dockerfile)
        command = at(node, "startCommand") or at(node, "dockerCommand")
        if text_of(command) and command:
            facts["start_command"] = text_of(command)
            if runtime in ("docker", "image"):
                facts["command"] = program(text_of(command), command.where)
        path = text_of(at(node, "healthCheckPath"))
        if path.startswith("/"):
            facts["health"] = HealthCheck(type="http", path=path)
        mount = text_of(at(node, "disk", "mountPath"))
        if mount.startswith("/"):
            facts["volumes"] = (Volume(name=component_name(text_of(at(node, "disk", "name")) or "data"), path=mount),)
        count = number(at(node, "numInstances"))
        return (
            facts
            | ({"replicas": count} if count else {})
            | ({"publish": "auto"} if kind in ("web", "static") else {})
        )

    def _settings(self, declared: Declared, items: list[Node]) -> None:
        """A value that only its owner knows (`sync: false`) is asked for."""
        env: dict[str, EnvVar] = {}
        wired: dict[str, tuple[str, str]] = {}
        for item in items:
            name, group = text_of(at(item, "key")), text_of(at(item, "fromGroup"))
            for inner in each(self._group(group)) if group else ():
                if _NAME.fullmatch(text_of(at(inner, "key"))):
                    env[text_of(at(inner, "key"))] = _variable(inner, declared.name)
            if not _NAME.fullmatch(name):
                continue
            source = at(item, "fromDatabase") or at(item, "fromService")
            target = self.names.get(text_of(at(source, "name")))
            part = _PARTS.get(text_of(at(source, "property")))
            if source and target and part and target != declared.name:
                wired[name] = target, part
                self._edge(declared.name, target, item)
            else:
                env[name] = _variable(item, declared.name)
            declared.clues.append(Clue(f"env.{name}", text_of(at(item, "value")), item.path, item.line))
        if env:
            declared.facts["env"] = tuple(env.values())
        if wired:
            declared.facts["wired"] = wired

    def _group(self, name: str) -> Node | None:
        groups = each(at(self.document, "envVarGroups"))
        return next((at(one, "envVars") for one in groups if text_of(at(one, "name")) == name), None)

    def _edge(self, source: str, target: str, node: Node) -> None:
        if target not in [known.to for known in self.structure.edges if known.from_ == source]:
            self.structure.edges.append(Edge(from_=source, to=target, type="order", condition="healthy"))
            self.structure.edge_clues.append(Clue(f"{source}->{target}", "healthy", node.path, node.line))

    def _note(self, message: str, node: Node) -> None:
        self.structure.warnings.append(
            Warning(code="not-run", message=message, file=node.path, line=node.line, severity="info")
        )


_PLACES = (
    ("start_command", "startCommand"),
    ("command", "dockerCommand"),
    ("build", "dockerfilePath"),
    ("health", "healthCheckPath"),
    ("kind", "type"),
    ("replicas", "numInstances"),
    ("image", "postgresMajorVersion"),
)


def _postgres(node: Node) -> dict[str, Any]:
    version = number(at(node, "postgresMajorVersion"))
    named = (("POSTGRES_USER", "user"), ("POSTGRES_DB", "databaseName"))
    env = tuple(EnvVar(name=ours, value=value) for ours, key in named if (value := text_of(at(node, key))))
    return {"image": f"postgres:{version or 16}"} | ({"env": env} if env else {})


def _cache() -> dict[str, Any]:
    return {"image": "redis:7"}


def _variable(item: Node, owner: str) -> EnvVar:
    name, value = text_of(at(item, "key")), at(item, "value")
    if text_of(at(item, "generateValue")) == "true":
        return EnvVar(name=name, value="{secret}", secret=f"{owner}/{component_name(name)}")
    return EnvVar(name=name, value=text_of(value) if value else None, required=text_of(at(item, "sync")) == "false")
