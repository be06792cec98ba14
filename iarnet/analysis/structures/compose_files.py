"""A compose project that is made of several files: overrides, `include`, `extends` of another file.

https://github.com/compose-spec/compose-spec/blob/main/14-include.md; paths in a file are relative to its own folder.
"""

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field

from iarnet.analysis.base import Files
from iarnet.analysis.folders import HOLDERS
from iarnet.analysis.structures.compose_merge import merged
from iarnet.analysis.structures.nodes import Node, load
from iarnet.analysis.structures.variables import Interpolation, env_file

FILES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
SECTIONS = ("services", "networks", "volumes", "secrets", "configs", "models")
MAX_FILES = 30
_BUILDS = ("compose.build.yaml", "compose.build.yml", "docker-compose.build.yaml", "docker-compose.build.yml")
"""Beside a file that takes images from a registry: how those of the repository are made."""
_OVERRIDES = ("compose.override.yaml", "compose.override.yml", "docker-compose.override.yaml",
              "docker-compose.override.yml")  # fmt: skip

Project = dict[str, dict[str, Node]]
"""Section -> name -> what is said of it."""


def file_below(files: Files) -> str | None:
    """The compose file of the only folder for deployment that has one, else that of `src`."""
    found = [path for path in files.named(FILES, depth=2) if "/" in path]
    folders = {posixpath.dirname(path): path for path in reversed(found)}
    holders = [folder for folder in folders if folder.lower() in HOLDERS]
    return folders[holders[0]] if len(holders) == 1 else folders.get("src")


@dataclass
class ComposeFiles:
    """`interpolation` is applied to each document once, before anything is read from it."""

    files: Files
    interpolation: Interpolation
    loaded: dict[str, Node] = field(default_factory=dict)

    def project(self, path: str) -> Project:
        """Everything that `docker compose up` would see in `path`. Raises `InvalidComponent` with file and line."""
        found = self._with_included(path, (), self.interpolation)
        for name in _OVERRIDES:
            override = posixpath.join(posixpath.dirname(path), name)
            if self.files.exists(override):
                found = _over(found, self._with_included(override, (), self.interpolation))
        for name in _BUILDS:
            beside = posixpath.join(posixpath.dirname(path), name)
            if self.files.exists(beside):
                self._build(found["services"], self._with_included(beside, (), self.interpolation)["services"])
        return found

    def _build(self, services: dict[str, Node], built: dict[str, Node]) -> None:
        for name, node in built.items():
            known = services[name].mapping(name) if name in services else {}
            build = node.mapping(name).get("build")
            if build and "image" in known and "build" not in known:
                services[name] = Node({**known, "build": build}, services[name].path, services[name].line)

    def extended(self, extends: Node, given: Mapping[str, Node]) -> dict[str, Node]:
        """The services of the file that `extends` names."""
        path = self._beside(extends, given["file"])
        return self._own(path, posixpath.dirname(path), self.interpolation)["services"]

    def _own(self, path: str, folder: str, interpolation: Interpolation) -> Project:
        """What is in one file alone, its paths relative to the repository. `folder`: what they are relative to."""
        document = self._document(path, interpolation).mapping("a compose file")
        given = {section: document[section].mapping(section) if section in document else {} for section in SECTIONS}
        return {section: {n: _rebased(v, folder) for n, v in named.items()} for section, named in given.items()}

    def _document(self, path: str, interpolation: Interpolation) -> Node:
        if path not in self.loaded:
            document = load(self.files, path)
            interpolation.apply(document)
            self.loaded[path] = document
        return self.loaded[path]

    def _with_included(
        self, path: str, trail: tuple[str, ...], interpolation: Interpolation, folder: str | None = None
    ) -> Project:
        found: Project = {section: {} for section in SECTIONS}
        include = self._document(path, interpolation).mapping("a compose file").get("include")
        for item in include.items("include") if include else ():
            for section, named in self._included(item, (*trail, path), interpolation).items():
                found[section] |= named
        own = self._own(path, posixpath.dirname(path) if folder is None else folder, interpolation)
        return {section: found[section] | own[section] for section in SECTIONS}

    def _included(self, item: Node, trail: tuple[str, ...], interpolation: Interpolation) -> Project:
        """One item: its first file with its others over it, in an environment of their own."""
        given = item.mapping("include") if isinstance(item.value, dict) else {"path": item}
        if "path" not in given:
            raise item.refuse("an include needs a path")
        targets = [self._beside(item, entry) for entry in given["path"].items("include.path")]
        found: Project | None = None
        for target in targets:
            if target in trail or len(self.loaded) > MAX_FILES:
                raise item.refuse(f"{target} includes itself, or too many others", "take one `include` out")
            folder = self._folder(item, given, targets[0])
            inner = interpolation.beneath(self._environment(item, given, folder))
            one = self._with_included(target, trail, inner, folder)
            found = one if found is None else _over(found, one)
        return found or {section: {} for section in SECTIONS}

    def _folder(self, item: Node, given: Mapping[str, Node], target: str) -> str:
        if "project_directory" not in given:
            return posixpath.dirname(target)
        folder = posixpath.normpath(posixpath.join(posixpath.dirname(item.path), given["project_directory"].raw))
        if folder.startswith(("/", "..")):
            raise item.refuse("project_directory must be a folder of the repository")
        return "" if folder == "." else folder

    def _environment(self, item: Node, given: Mapping[str, Node], folder: str) -> dict[str, str]:
        """Of the included file: its `env_file`, or `.env` in its folder."""
        if "env_file" not in given:
            return env_file(self.files, posixpath.join(folder, ".env")) or {}
        found: dict[str, str] = {}
        for entry in given["env_file"].items("include.env_file"):
            path = posixpath.normpath(posixpath.join(posixpath.dirname(item.path), entry.text("include.env_file")))
            found |= env_file(self.files, path) or {}
        return found

    def _beside(self, node: Node, entry: Node) -> str:
        """A path within the tree, relative to the file that names it."""
        text = entry.text("a compose file")
        path = posixpath.normpath(posixpath.join(posixpath.dirname(node.path), text))
        if text.startswith(("/", "~")) or path.startswith("..") or not self.files.exists(path):
            raise node.refuse(
                f"there is no compose file {text!r} in the repository", "give a path within the repository"
            )
        return path


def _over(below: Project, over: Project) -> Project:
    return {section: _each(below[section], over[section]) for section in SECTIONS}


def _each(below: dict[str, Node], over: dict[str, Node]) -> dict[str, Node]:
    found = dict(below)
    for name, node in over.items():
        if name in below and node.tag != "!override" and isinstance(below[name].value, dict):
            under, given = below[name].mapping(name), node.mapping(name)
            found[name] = Node(merged(under, _said(under, given)), node.path, below[name].line)
        elif node.tag == "!reset":
            found.pop(name, None)
        else:
            found[name] = node
    return found


def _said(under: dict[str, Node], given: dict[str, Node]) -> dict[str, Node]:
    """`given` without a context that it only assumes, where the file below names one."""
    build = given.get("build")
    if build is None or not isinstance(build.value, dict) or "build" not in under:
        return given
    context = build.value.get("context")
    if context is None or context.tag != _ASSUMED:
        return given
    rest = {name: node for name, node in build.value.items() if name != "context"}
    return {**given, "build": Node(rest, build.path, build.line, tag=build.tag)}


_ASSUMED = "!assumed"
_PATHS: Mapping[str, tuple[str, ...]] = {
    "build": ("context",),
    "env_file": ("path",),
    "label_file": (),
    "volumes": ("source",),
    "file": (),
}
"""Fields that hold paths; where they are mappings, which of their fields do."""


def _rebased(node: Node, folder: str) -> Node:
    """A service, a secret … with `folder` in front of every path; at the top of the repository nothing changes."""
    if not folder or not isinstance(node.value, dict):
        return node
    moved = {key: _moved(value, folder, key) if key in _PATHS else value for key, value in node.value.items()}
    return Node(moved, node.path, node.line, tag=node.tag)


def _moved(node: Node, folder: str, key: str) -> Node:
    if isinstance(node.value, dict):
        kind = node.value["type"].raw if "type" in node.value else "bind"
        inner = _PATHS[key] if kind == "bind" else ()
        moved = {name: _moved(value, folder, key) if name in inner else value for name, value in node.value.items()}
        if key == "build" and "context" not in moved:
            moved["context"] = Node(folder, node.path, node.line, raw=folder, tag=_ASSUMED)
        return Node(moved, node.path, node.line, tag=node.tag)
    if isinstance(node.value, list):
        return Node([_moved(item, folder, key) for item in node.value], node.path, node.line, tag=node.tag)
    if node.raw.startswith(("/", "~")) or (key == "volumes" and not node.raw.startswith(".")):
        return node
    source, colon, rest = node.raw.partition(":") if key == "volumes" else (node.raw, "", "")
    joined = posixpath.normpath(posixpath.join(folder, source))
    prefix = "" if joined.startswith("..") or key != "volumes" else "./"
    return _scalar(node, f"{prefix}{joined}{colon}{rest}" if key == "volumes" else joined)


def _scalar(node: Node, text: str) -> Node:
    return Node(text, node.path, node.line, raw=text, tag=node.tag)
