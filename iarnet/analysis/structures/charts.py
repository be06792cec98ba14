"""Helm charts, as far as their values name images, ports and room. A template is never rendered."""

import posixpath
import re

from iarnet.analysis.base import Clue, Declared, Files
from iarnet.analysis.names import component_name
from iarnet.analysis.structures.kubernetes_fields import health, number, resources, shown
from iarnet.analysis.structures.manifests import DEPTH, LIMIT, at, text_of
from iarnet.analysis.structures.nodes import Node, documents
from iarnet.errors import InvalidComponent
from iarnet.models.analysis import Warning
from iarnet.models.component import Port

MAX_CHARTS = 30
_PORTS = (("containerPort",), ("service", "targetPort"), ("service", "internalPort"), ("service", "port"))


def charts(files: Files, warnings: list[Warning]) -> list[Declared]:
    """What the values of each chart declare: at the top under the chart's own name, else by the names there."""
    found: list[Declared] = []
    for path in files.named(("Chart.yaml",), depth=DEPTH)[:MAX_CHARTS]:
        folder = posixpath.dirname(path)
        values = posixpath.join(folder, "values.yaml")
        try:
            chart, given = _document(files, path), _document(files, values)
            own = (text_of(at(chart, "name")) or posixpath.basename(folder)).removesuffix("-chart")
            below = given.value if given and isinstance(given.value, dict) else {}
            named = [(own, given), *below.items()]
            written = _written_port(files, folder)
            found += [declared for name, node in named if node and (declared := _declared(name, node, written))]
        except InvalidComponent as error:
            message = f"{values} can't be read: {error.message[:200]}"
            warnings.append(Warning(code="broken-manifest", message=message, file=values))
    return found


def _document(files: Files, path: str) -> Node | None:
    text = files.text(path) or ""
    read = documents(text, path) if 0 < len(text) <= LIMIT else []
    return read[0] if read else None


def _written_port(files: Files, folder: str) -> Clue | None:
    """The container's port where the templates have it as a number: the service's is another one then."""
    for path in files.ending((".yaml", ".yml"), posixpath.join(folder, "templates"), 1):
        found = _CONTAINER_PORT.search((files.text(path) or "")[:LIMIT])
        if found and 0 < int(found[1]) < 65536:
            return Clue("ports", found[1], path, found.string.count("\n", 0, found.start()) + 1)
    return None


_CONTAINER_PORT = re.compile(r"\bcontainerPort:[ \t]{0,9}(\d{1,5})\b")


def _declared(name: str, node: Node, written: Clue | None) -> Declared | None:
    given = at(node, "image")
    repository = text_of(at(given, "repository")) or text_of(at(given, "name")) or text_of(given)
    if given is None or not repository or not isinstance(node.value, dict):
        return None
    tag = text_of(at(given, "tag"))
    declared = Declared(component_name(name))
    facts = declared.facts
    facts["image"] = f"{repository}:{tag}" if tag else repository
    declared.clues.append(Clue("component", facts["image"], given.path, given.line))
    taken: list[tuple[str, Node | None, object]] = []
    port = next((found for keys in _PORTS if number(found := at(node, *keys))), None)
    if written and not number(at(node, "containerPort")):
        facts["ports"] = (Port(port=int(written.value)),)
        declared.clues.append(written)
    else:
        taken.append(("ports", port, (Port(port=number(port) or 1),)))
    taken.append(("resources", at(node, "resources"), resources(at(node, "resources"))))
    count = at(node, "replicaCount") or at(node, "replicas")
    taken.append(("replicas", count, number(count)))
    probe = at(node, "readinessProbe") or at(node, "livenessProbe")
    taken.append(("health", probe, health(probe, node) if probe else None))
    for fact, place, value in taken:
        if place and value:
            facts[fact] = value
            declared.clues.append(Clue(fact, shown(place), place.path, place.line))
    if text_of(at(node, "ingress", "enabled")) == "true":
        facts["publish"] = "auto"
    return declared
