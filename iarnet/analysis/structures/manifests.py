"""Kubernetes manifests in a tree (https://kubernetes.io/docs/reference/kubernetes-api): which there are, and what in
them has a place. Nothing of a tree is rendered: files with template marks are passed over."""

import base64
import binascii
import posixpath
import re
from dataclasses import dataclass, field

from iarnet.analysis.base import Files
from iarnet.analysis.structures.nodes import Node, documents
from iarnet.errors import InvalidComponent
from iarnet.models.analysis import Warning

DEPTH = 6
MAX_FILES = 300
LIMIT = 300_000
TOTAL = 1_000_000
"""Characters of manifests that are parsed."""
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Pod", "Job")
_LATER = ("CronJob",)
_KINDS = frozenset((*WORKLOADS, *_LATER, "Service", "Ingress", "ConfigMap", "Secret", "List"))
_KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_MANIFEST = re.compile(r"(?m)^\s{0,4}apiVersion:")
_KIND = re.compile(r"(?m)^(?:- |\s{0,4})kind:\s{1,9}[\"']?(\w{1,40})")
_ASIDE = frozenset(
    ("test", "tests", "testdata", "e2e", "docs", "doc", "examples", "example", "samples", ".github", "crds")
)


@dataclass(frozen=True)
class Manifest:
    """`labels`: those of the pods it makes, or those by which a service finds its pods."""

    kind: str
    name: str
    node: Node

    def at(self, *keys: str) -> Node | None:
        return at(self.node, *keys)

    def pod(self) -> Node | None:
        return self.at("spec") if self.kind == "Pod" else self.at("spec", "template", "spec")

    def labels(self) -> dict[str, str]:
        if self.kind == "Service":
            return texts(self.at("spec", "selector"))
        return texts(
            self.at("metadata", "labels") if self.kind == "Pod" else self.at("spec", "template", "metadata", "labels")
        )


@dataclass
class Manifests:
    """Of each kind and name the first: a base before what is put over it. `images`: what kustomize replaces."""

    found: dict[tuple[str, str], Manifest] = field(default_factory=dict)
    images: dict[str, str] = field(default_factory=dict)
    warnings: list[Warning] = field(default_factory=list)

    def of(self, *kinds: str) -> list[Manifest]:
        return [manifest for manifest in self.found.values() if manifest.kind in kinds]

    def values(self, kind: str, name: str) -> dict[str, str]:
        """The entries of a ConfigMap, or of a Secret that somebody has committed."""
        manifest = self.found.get((kind, name))
        if manifest is None:
            return {}
        plain = texts(manifest.at("data"))
        if kind == "ConfigMap":
            return plain
        return {key: _decoded(value) for key, value in plain.items()} | texts(manifest.at("stringData"))


def manifests(files: Files) -> Manifests:
    """Those below `DEPTH` folders, the shallow ones first, but for patches, tests and documentation."""
    read = Manifests()
    patches = _kustomized(files, read)
    candidates = files.ending((".yaml", ".yml"), depth=DEPTH)
    near = sorted(candidates, key=lambda path: ("overlays" in path.split("/"), path.count("/"), path))
    chosen = [path for path in near if path not in patches and _ASIDE.isdisjoint(path.split("/")[:-1])][:MAX_FILES]
    files.read_ahead(chosen)
    left = TOTAL
    for path in chosen:
        text = files.text(path) or ""
        if _is_manifest(text) and len(text) <= min(LIMIT, left):
            left -= len(text)
            _read(text, path, read)
    for manifest in read.of(*_LATER):
        message = f"{manifest.name} is started at certain times, which is not done here; it is left out"
        read.warnings.append(_warning("not-run", message, manifest.node))
    return read


def at(node: Node | None, *keys: str) -> Node | None:
    """None also where something else than a mapping is on the way."""
    for key in keys:
        node = node.value.get(key) if node and isinstance(node.value, dict) else None
    return node


def each(node: Node | None) -> list[Node]:
    return node.value if node and isinstance(node.value, list) else []


def text_of(node: Node | None) -> str:
    return "" if node is None or isinstance(node.value, dict | list) else node.raw


def texts(node: Node | None) -> dict[str, str]:
    given = node.value if node and isinstance(node.value, dict) else {}
    return {key: value.raw for key, value in given.items() if not isinstance(value.value, dict | list)}


def _is_manifest(text: str) -> bool:
    return "{{" not in text and bool(_MANIFEST.search(text)) and not _KINDS.isdisjoint(_KIND.findall(text))


def _read(text: str, path: str, read: Manifests) -> None:
    try:
        found = [item for document in documents(text, path) for item in (*each(at(document, "items")), document)]
    except InvalidComponent as error:
        message = f"{path} can't be read: {error.message[:200]}"
        read.warnings.append(Warning(code="broken-manifest", message=message, file=path))
        return
    for node in found:
        kind, name = text_of(at(node, "kind")), text_of(at(node, "metadata", "name"))
        if kind in _KINDS and name:
            read.found.setdefault((kind, name), Manifest(kind, name, node))


def _kustomized(files: Files, read: Manifests) -> frozenset[str]:
    """Notes the images that kustomize names; returns files that are only patches."""
    patches: set[str] = set()
    for path in files.named(_KUSTOMIZATIONS, depth=DEPTH)[:MAX_FILES]:
        text = files.text(path) or ""
        try:
            document = documents(text, path)[0] if 0 < len(text) <= LIMIT else None
        except (InvalidComponent, IndexError):
            continue
        folder = posixpath.dirname(path)
        for key in ("patches", "patchesStrategicMerge", "patchesJson6902"):
            for item in each(at(document, key)):
                named = text_of(item) or text_of(at(item, "path"))
                patches.add(posixpath.normpath(posixpath.join(folder, named)))
        for image in each(at(document, "images")):
            name, tag = text_of(at(image, "name")), text_of(at(image, "newTag"))
            new = text_of(at(image, "newName")) or name
            read.images.setdefault(name, f"{new}:{tag}" if tag else new)
        patches.add(path)
    return frozenset(patches)


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, ValueError):
        return ""


def _warning(code: str, message: str, node: Node) -> Warning:
    return Warning(code=code, message=message, file=node.path, line=node.line, severity="info")
