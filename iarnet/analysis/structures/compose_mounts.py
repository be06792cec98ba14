"""What a compose service mounts: volumes, files of the repository, folders of the host, memory, configs, secrets."""

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pydantic import ValidationError

from iarnet.analysis.base import Files
from iarnet.analysis.names import component_name
from iarnet.analysis.structures.compose_options import tmpfs
from iarnet.analysis.structures.nodes import Node
from iarnet.analysis.structures.quantities import memory_bytes
from iarnet.models.component import Volume
from iarnet.models.container import MAX_FILE_BYTES, File

_KEPT = frozenset({".gitkeep", ".gitignore", ".keep", ".gitattributes"})
"""What a folder holds so that Git keeps it although it is empty."""
_OF_THE_SYSTEM = re.compile(
    r"/(proc|sys|dev|run|var/run|lib|lib64|boot|root|bin|sbin|usr/(src|lib|s?bin)|etc/(ssl|pki|docker)|var/lib/docker)(/.*)?"
    r"|/|/(etc|var|home|usr|var/lib|var/log)/?"
)
_A_FILE = re.compile(r"[^/]*\.[A-Za-z][A-Za-z0-9]{1,9}|hosts|passwd|group|timezone|localtime|hostname|machine-id")


@dataclass(frozen=True)
class Mount:
    node: Node
    kind: str
    source: str
    target: str
    read_only: bool = False
    options: str = ""


@dataclass(frozen=True)
class Kept:
    """A volume; `source` is what others call it who mount it too, empty when it has no name."""

    node: Node
    volume: Volume
    source: str


@dataclass
class Mounts:
    """`volumes`: by path. `baked`: what of the repository lies in the image, with its place there. `notes`: code,
    message, place."""

    volumes: dict[str, Kept] = field(default_factory=dict)
    baked: list[tuple[str, str]] = field(default_factory=list)
    tmpfs: dict[str, str] = field(default_factory=dict)
    notes: list[tuple[str, str, Node]] = field(default_factory=list)

    def keep(self, name: str, mount: Mount) -> None:
        path = posixpath.normpath(mount.target)
        volume = Volume(name=component_name(name), path=path, read_only=mount.read_only)
        self.volumes[path] = Kept(mount.node, volume, name if mount.source else "")

    def note(self, code: str, message: str, mount: Mount) -> None:
        self.notes.append((code, message, mount.node))


def mounted(files: Files, node: Node) -> Mounts:
    """Each of `volumes`: where it comes from decides what it becomes."""
    found = Mounts()
    for mount in _mounts(node):
        if not mount.target.startswith("/"):
            raise mount.node.refuse(
                f"{mount.target[:60]!r} must be an absolute path", "write source:/path/in/container"
            )
        if mount.kind == "tmpfs":
            found.tmpfs |= dict([tmpfs(f"{mount.target}:{mount.options}")])
        elif mount.kind == "volume":
            found.keep(mount.source or mount.target, mount)
        elif mount.kind == "bind":
            _bound(files, mount, found)
    return found


def put(
    files: Files, node: Node, what: str, defined: Mapping[str, Node], variables: Mapping[str, str]
) -> Iterator[File]:
    """The files that `configs` or `secrets` (`what`) name; without content where the repository doesn't have it."""
    for item in node.items(what):
        given = item.mapping(what) if isinstance(item.value, dict) else {"source": item}
        source = given["source"].text(f"{what}.source") if "source" in given else ""
        if source not in defined:
            raise item.refuse(f"there is no {source!r} among the {what}", f"define it under `{what}:` at the top")
        folder = "/run/secrets" if what == "secrets" else "/"
        target = given["target"].text("target") if "target" in given else source
        try:
            yield File(
                name=re.sub(r"[^A-Za-z0-9_.-]", "-", source).lstrip("._-")[:128] or what,
                path=posixpath.normpath(posixpath.join(folder, target)),
                value=_content(files, defined[source], variables),
                mode=_mode(given["mode"]) if "mode" in given else 0o444,
                uid=given["uid"].integer("uid") if "uid" in given else 0,
                gid=given["gid"].integer("gid") if "gid" in given else 0,
            )
        except ValidationError as error:
            raise item.refuse(f"{what}.{source[:60]}: {error.errors()[0]['msg']}") from error


def _content(files: Files, node: Node, variables: Mapping[str, str]) -> str | None:
    given = node.mapping("its definition")
    if "content" in given:
        return given["content"].text("content")
    if "environment" in given:
        return variables.get(given["environment"].text("environment"))
    path = inside(given["file"].text("file")) if "file" in given else None
    text = files.text(path) if path else None
    if text is not None and len(text.encode()) > MAX_FILE_BYTES:
        raise given["file"].refuse(
            f"{path} is larger than {MAX_FILE_BYTES // 1024} KiB", "mount it under `volumes` instead"
        )
    return text


def _mode(node: Node) -> int:
    """`0440`, `"440"`: always octal, as everybody means it."""
    text = node.text("mode").lower().replace("0o", "0")
    if not re.fullmatch(r"[0-7]{3,5}", text):
        raise node.refuse(f"{node.raw[:20]!r} is no mode", 'write "0440"')
    return int(text, 8)


def _bound(files: Files, mount: Mount, found: Mounts) -> None:
    path = inside(mount.source)
    if path is None:
        _from_host(mount, found)
    elif _has(files, path):
        found.baked.append((path, posixpath.normpath(mount.target)))
    elif mount.read_only or _A_FILE.fullmatch(posixpath.basename(path)):
        message = f"{mount.source} is not in the repository, so nothing is at {mount.target}"
        found.note("not-in-repository", message, mount)
    else:
        found.keep(f"folder-{path}", mount)
        found.note(
            "kept", f"{mount.source} is not in the repository: what is at {mount.target} is in a volume", mount
        )


def _from_host(mount: Mount, found: Mounts) -> None:
    source = posixpath.normpath(mount.source)
    if _OF_THE_SYSTEM.fullmatch(source) or mount.read_only or _A_FILE.fullmatch(posixpath.basename(source)):
        message = (
            f"{mount.source} of the host is not mounted at {mount.target}: no repository gets what is the host's"
        )
        found.note("withheld", message, mount)
    else:
        found.keep(f"folder-{source}", mount)
        message = f"{mount.source} of the host is not mounted at {mount.target}: what is there is kept in a volume"
        found.note("host-folder", message, mount)


def inside(source: str) -> str | None:
    """The path within the repository, or None."""
    path = posixpath.normpath(source)
    return None if source.startswith(("/", "~")) or path.startswith("..") or "\0" in path else path


def _has(files: Files, path: str) -> bool:
    if files.exists(path):
        return True
    return any(posixpath.basename(found) not in _KEPT for found in files.paths(path))


def _mounts(node: Node) -> Iterator[Mount]:
    for item in node.items("volumes"):
        yield _long(item) if isinstance(item.value, dict) else _short_form(item)


def _short_form(item: Node) -> Mount:
    parts = item.text("volumes").split(":")
    if len(parts) == 1:
        return Mount(item, "volume", "", parts[0])
    read_only = len(parts) > 2 and "ro" in parts[2].split(",")
    return Mount(item, _kind(parts[0]), parts[0], parts[1], read_only)


def _long(item: Node) -> Mount:
    nodes = item.mapping("volumes")
    given = {key: node.raw for key, node in nodes.items()}
    source = given.get("source", given.get("src", ""))
    target = given.get("target", given.get("dst", given.get("destination", "")))
    kind = given.get("type") or _kind(source)
    if kind == "bind" and not source.startswith((".", "/", "~")):
        source = f"./{source}"
    memory = nodes["tmpfs"].mapping("tmpfs") if "tmpfs" in nodes else {}
    options = [f"size={memory_bytes(memory['size'].raw, item.where)}"] if "size" in memory else []
    options += [f"mode={_mode(memory['mode']):o}"] if "mode" in memory else []
    return Mount(item, kind, source, target, given.get("read_only", "").lower() == "true", ",".join(options))


def _kind(source: str) -> str:
    return "bind" if source.startswith((".", "/", "~")) else "volume"
