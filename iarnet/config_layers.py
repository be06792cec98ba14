"""The places that settings come from, each flattened to key -> value and origin."""

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from iarnet.errors import InvalidConfig

PREFIX = "IARNET_"
ALIASES = {
    "IARNET_CPU_LIMIT": "resource_limits.cpu",
    "IARNET_MEMORY_LIMIT": "resource_limits.memory",
    "IARNET_GPU_LIMIT": "resource_limits.gpu",
}
# Ours, but not settings of a node: the command line's, the set-up's and the tests'.
OTHERS = re.compile(r"IARNET_(CONFIG|SERVER|TOKEN|CACHE|FAULTS|TEST_.*)")
# In a cluster with a Service named "iarnet", Kubernetes puts these into every container.
SERVICE_LINKS = re.compile(r"IARNET_(.*_)?(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_\d+_(TCP|UDP|SCTP)(_.*)?)?)")

Source = Literal["default", "file", "environment", "flag"]
Collection = Literal["", "list", "mapping"]


@dataclass(frozen=True)
class Origin:
    """`name` is the file, the variable or the flag; `line` counts from 1."""

    source: Source = "default"
    name: str = ""
    line: int | None = None

    def __str__(self) -> str:
        return f"{self.name}:{self.line}" if self.line else self.name or self.source


@dataclass(frozen=True)
class Given:
    value: Any
    origin: Origin


Keys = Mapping[str, Collection]
Layer = dict[str, Given]


def file_layer(path: Path, keys: Keys) -> Layer:
    """Relative paths in it are left as they are written. Raises `InvalidConfig` with file and line."""
    loader = yaml.SafeLoader(_text(path))
    try:
        root = loader.get_single_node()
        return {} if root is None else _flatten(loader, root, path, keys)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise InvalidConfig(f"not valid YAML: {getattr(error, 'problem', None) or error}", where=where) from error
    finally:
        loader.dispose()


def environment_layer(environ: Mapping[str, str], keys: Keys) -> Layer:
    """`IARNET_SECTION__KEY`, case and underscores within a key ignored; an empty variable counts as unset."""
    folded = {_fold(key): key for key in keys}
    layer: Layer = {}
    for name, text in sorted(environ.items()):
        if not name.startswith(PREFIX) or OTHERS.fullmatch(name) or not text:
            continue
        key, entry = _key_of(name, folded, keys)
        origin = Origin("environment", name)
        if key is None:
            if SERVICE_LINKS.fullmatch(name):
                continue
            raise _unknown(name, [_variable(k) for k in keys] + list(ALIASES), origin)
        if entry:
            before = layer[key].value if key in layer else {}
            layer[key] = Given({**before, entry: text}, origin)
        else:
            layer[key] = Given(_from_text(text, keys[key], origin), origin)
    return layer


def flag_layer(flags: Mapping[str, Any], keys: Keys) -> Layer:
    """Keys are dotted; a flag that is None was not given."""
    layer: Layer = {}
    for key, value in flags.items():
        origin = Origin("flag", f"--option {key}" if "." in key else "--" + key.replace("_", "-"))
        if key not in keys:
            raise _unknown(key, list(keys), origin)
        if value is not None:
            layer[key] = Given(_from_text(value, keys[key], origin) if isinstance(value, str) else value, origin)
    return layer


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InvalidConfig("there is no such configuration file", where=str(path)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidConfig(f"the configuration file can't be read: {error}", where=str(path)) from error


def _flatten(loader: yaml.SafeLoader, root: yaml.Node, path: Path, keys: Keys) -> Layer:
    layer: Layer = {}
    for key, node, line in _leaves(loader, root, path, keys, prefix=""):
        origin = Origin("file", str(path), line)
        if key in layer:
            raise InvalidConfig(f"`{key}` is there twice", where=str(origin), hint=f"first at {layer[key].origin}")
        layer[key] = Given(loader.construct_object(node, deep=True), origin)
    return {key: given for key, given in layer.items() if given.value is not None}


def _leaves(
    loader: yaml.SafeLoader, node: yaml.Node, path: Path, keys: Keys, *, prefix: str
) -> Iterator[tuple[str, yaml.Node, int]]:
    if not isinstance(node, yaml.MappingNode):
        line = node.start_mark.line + 1
        what = f"`{prefix[:-1]}` must be a section" if prefix else "must be keys and values"
        raise InvalidConfig(f"{what}, not {_kind(node)}", where=f"{path}:{line}")
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        key = f"{prefix}{key_node.value}"
        if key in keys:
            yield key, value_node, line
        elif not any(k.startswith(f"{key}.") for k in keys):
            raise _unknown(key, [*keys, *_sections(keys)], Origin("file", str(path), line))
        elif value_node.tag != "tag:yaml.org,2002:null":
            yield from _leaves(loader, value_node, path, keys, prefix=f"{key}.")


def _kind(node: yaml.Node) -> str:
    return "a list" if isinstance(node, yaml.SequenceNode) else "a single value"


def _sections(keys: Keys) -> set[str]:
    return {key.rsplit(".", n)[0] for key in keys for n in range(1, key.count(".") + 1)}


def _key_of(name: str, folded: Mapping[str, str], keys: Keys) -> tuple[str | None, str]:
    if name in ALIASES:
        return ALIASES[name], ""
    parts = name.removeprefix(PREFIX).split("__")
    if key := folded.get(_fold(".".join(parts))):
        return key, ""
    parent = folded.get(_fold(".".join(parts[:-1])))
    # The name within a mapping keeps its case: build arguments have one.
    return (parent, parts[-1]) if parent and keys[parent] == "mapping" else (None, "")


def _fold(key: str) -> str:
    return key.replace("_", "").lower()


def _variable(key: str) -> str:
    return PREFIX + re.sub(r"(?<=[a-z])(?=[A-Z])", "_", key).replace(".", "__").upper()


def _from_text(text: str, collection: Collection, origin: Origin) -> Any:
    if not collection:
        return text
    if text.lstrip().startswith("[" if collection == "list" else "{"):
        try:
            return json.loads(text)
        except ValueError as error:
            raise InvalidConfig(f"not valid JSON: {error}", where=str(origin)) from error
    items = [item.strip() for item in text.split(",") if item.strip()]
    if collection == "list":
        return items
    if bad := next((item for item in items if "=" not in item), None):
        raise InvalidConfig(f"`{bad}` has no value", where=str(origin), hint="write NAME=value,NAME=value")
    return dict(item.split("=", 1) for item in items)


def _unknown(key: str, known: list[str], origin: Origin) -> InvalidConfig:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5) or [
        k for k in known if k.rsplit(".", 1)[-1] == key.rsplit(".", 1)[-1]
    ]
    hint = f"did you mean `{near[0]}`?" if near else "`iarnet config` lists every key"
    return InvalidConfig(f"unknown key `{key}`", where=str(origin), hint=hint)


_USERINFO = re.compile(r"(?<=://)([^/@:\s]*):([^/@\s]*)(?=@)")
_SECRETIVE = re.compile(r"secret|token|passw|key|credential", re.IGNORECASE)


def masked(value: Any) -> Any:
    """The value as it may be shown: no password in a URL, no value under a name that sounds secret."""
    if isinstance(value, Mapping):
        return {k: "***" if _SECRETIVE.search(k) else masked(v) for k, v in value.items()}
    if isinstance(value, str):
        return _USERINFO.sub(r"\1:***", value)
    return [masked(v) for v in value] if isinstance(value, (list, tuple)) else value
