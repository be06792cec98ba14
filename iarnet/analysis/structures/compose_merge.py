"""What several compose files say of one thing, put together.

https://github.com/compose-spec/compose-spec/blob/main/13-merge.md; the same for a service and what it `extends`.
"""

from iarnet.analysis.structures.nodes import Node

Mapping = dict[str, Node]

_REPLACED = frozenset({"command", "entrypoint", "test"})
_KEYED = {
    "volumes": ("target", "dst", "destination"),
    "secrets": ("target", "source"),
    "configs": ("target", "source"),
}
"""Lists in which a later item takes the place of one that is at the same place."""
_ASSIGNED = frozenset({"environment", "args", "labels", "annotations", "sysctls", "extra_hosts"})
_NAMED = frozenset({"depends_on", "networks", "models", "additional_contexts"})


def merged(under: Mapping, over: Mapping) -> Mapping:
    """Mappings are merged at every depth, lists joined, everything else replaced."""
    result = dict(under)
    for key, node in over.items():
        below = result.get(key)
        if node.tag == "!reset":
            result.pop(key, None)
        elif below is None or node.tag == "!override":
            result[key] = node
        else:
            result[key] = _both(key, below, node)
    result.pop("extends", None)
    return result


def _both(key: str, below: Node, node: Node) -> Node:
    if key in _REPLACED or (key in _ASSIGNED | _NAMED and node.value is None):
        return node
    below, node = _alike(key, below, node)
    if isinstance(below.value, dict) and isinstance(node.value, dict):
        return Node(merged(below.value, node.value), node.path, node.line)
    if isinstance(below.value, list) and isinstance(node.value, list):
        return Node(_joined(key, below.value, node.value), node.path, node.line)
    return node


def _alike(key: str, below: Node, node: Node) -> tuple[Node, Node]:
    """Both in the same one of the forms in which it may be written."""
    kinds = {type(below.value), type(node.value)}
    if key == "build":
        return _as_build(below), _as_build(node)
    if key in _ASSIGNED | _NAMED and (kinds != {list} or key in _ASSIGNED):
        return _as_mapping(key, below), _as_mapping(key, node)
    if list in kinds and dict not in kinds and None.__class__ not in kinds:
        return _as_list(below), _as_list(node)
    return below, node


def _joined(key: str, below: list[Node], over: list[Node]) -> list[Node]:
    if key not in _KEYED:
        known = {item.raw for item in below if item.raw}
        return [*below, *(item for item in over if item.raw not in known)]
    places = {_place(item, _KEYED[key]) for item in over}
    return [*(item for item in below if _place(item, _KEYED[key]) not in places), *over]


def _place(item: Node, names: tuple[str, ...]) -> str:
    if isinstance(item.value, dict):
        return next((item.value[name].raw.rstrip("/") for name in names if name in item.value), "")
    parts = item.raw.split(":")
    return (parts[1] if len(parts) > 1 else parts[0]).rstrip("/")


def _as_build(node: Node) -> Node:
    return node if isinstance(node.value, dict) else Node({"context": node}, node.path, node.line)


def _as_list(node: Node) -> Node:
    return node if isinstance(node.value, list) else Node([node], node.path, node.line)


def _as_mapping(key: str, node: Node) -> Node:
    if not isinstance(node.value, list):
        return node
    found: Mapping = {}
    for item in node.value:
        name, given, value = item.raw.partition("=")
        if key == "extra_hosts" and not given:
            name, given, value = item.raw.partition(":")
        bare = key in _NAMED or not given
        found[name] = Node(None if bare else value, item.path, item.line, raw="" if bare else value, unset=item.unset)
    return Node(found, node.path, node.line)
