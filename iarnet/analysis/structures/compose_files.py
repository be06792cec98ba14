"""The services of a compose file that is made of several: overrides, `include`, `extends` of another file.

https://github.com/compose-spec/compose-spec/blob/main/14-include.md; paths in a file are relative to its own folder.
"""

import posixpath
from collections.abc import Callable
from dataclasses import dataclass, field

from iarnet.analysis.base import Files
from iarnet.analysis.structures import compose_fields as fields
from iarnet.analysis.structures.nodes import Node, load

FILES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
MAX_FILES = 30
_OVERRIDES = ("compose.override.yaml", "compose.override.yml", "docker-compose.override.yaml",
              "docker-compose.override.yml")  # fmt: skip


@dataclass
class ComposeFiles:
    """`prepare` is applied to each document once, before anything is read from it (interpolation)."""

    files: Files
    prepare: Callable[[Node], None]
    loaded: dict[str, Node] = field(default_factory=dict)

    def services(self, path: str) -> dict[str, Node]:
        """Everything that `docker compose up` would see in `path`. Raises `InvalidComponent` with file and line."""
        found = self._with_included(path, ())
        for name in _OVERRIDES:
            override = posixpath.join(posixpath.dirname(path), name)
            if self.files.exists(override):
                for service, node in self._with_included(override, ()).items():
                    below = found.get(service)
                    found[service] = _over(below, node) if below else node
        return found

    def own(self, path: str) -> dict[str, Node]:
        """The services in one file alone, their paths relative to the repository."""
        services = self.document(path).mapping("a compose file").get("services")
        folder = posixpath.dirname(path)
        return {
            name: _rebased(node, folder) for name, node in (services.mapping("services") if services else {}).items()
        }

    def document(self, path: str) -> Node:
        if path not in self.loaded:
            document = load(self.files, path)
            self.prepare(document)
            self.loaded[path] = document
        return self.loaded[path]

    def extended(self, extends: Node, given: dict[str, Node]) -> dict[str, Node]:
        """The services of the file that `extends` names."""
        return self.own(self._beside(extends, given["file"]))

    def _with_included(self, path: str, trail: tuple[str, ...]) -> dict[str, Node]:
        found: dict[str, Node] = {}
        include = self.document(path).mapping("a compose file").get("include")
        for item in include.items("include") if include else ():
            given = item.mapping("include").get("path", item) if isinstance(item.value, dict) else item
            for entry in given.items("include.path"):
                target = self._beside(item, entry)
                if target in (*trail, path) or len(self.loaded) > MAX_FILES:
                    raise item.refuse(f"{target} includes itself, or too many others", "take one `include` out")
                found |= self._with_included(target, (*trail, path))
        return found | self.own(path)

    def _beside(self, node: Node, entry: Node) -> str:
        """A path within the tree, relative to the file that names it."""
        text = entry.text("a compose file")
        path = posixpath.normpath(posixpath.join(posixpath.dirname(node.path), text))
        if text.startswith(("/", "~")) or path.startswith("..") or not self.files.exists(path):
            raise node.refuse(
                f"there is no compose file {text!r} in the repository", "give a path within the repository"
            )
        return path


def _over(below: Node, over: Node) -> Node:
    return Node(fields.merged(below.mapping("a service"), over.mapping("a service")), over.path, below.line)


def _rebased(service: Node, folder: str) -> Node:
    """With `folder` in front of every path; at the top of the repository nothing changes."""
    if not folder or not isinstance(service.value, dict):
        return service
    given = dict(service.value)
    for key in ("build", "env_file", "volumes"):
        if key in given:
            given[key] = _moved(given[key], folder, key)
    return Node(given, service.path, service.line)


def _moved(node: Node, folder: str, key: str) -> Node:
    if isinstance(node.value, dict):
        inner = {"build": ("context",), "env_file": ("path",), "volumes": ("source",)}[key]
        moved = {name: _moved(value, folder, key) if name in inner else value for name, value in node.value.items()}
        if key == "build" and "context" not in moved:
            moved["context"] = _scalar(node, folder)
        return Node(moved, node.path, node.line)
    if isinstance(node.value, list):
        return Node([_moved(item, folder, key) for item in node.value], node.path, node.line)
    if key == "volumes" and not node.raw.startswith("."):
        return node
    source, colon, rest = node.raw.partition(":") if key == "volumes" else (node.raw, "", "")
    joined = posixpath.normpath(posixpath.join(folder, source))
    return _scalar(node, f"./{joined}{colon}{rest}" if key == "volumes" else joined)


def _scalar(node: Node, text: str) -> Node:
    return Node(text, node.path, node.line, raw=text)
