"""YAML with the line of every value, under limits that a hostile file can't get past.

Scalars follow the core schema of YAML 1.2 (as compose does), so `22:22` and `yes` stay text. Aliases share their
node instead of being copied, and what they would expand to is counted.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Literal, TypeAlias, TypeVar

import yaml
from yaml import events

from iarnet.analysis.base import Files
from iarnet.errors import InvalidComponent

T = TypeVar("T")
MAX_DEPTH = 60
MAX_NODES = 100_000

_INTEGER = re.compile(r"[-+]?[0-9]{1,300}|0o[0-7]{1,300}|0x[0-9a-fA-F]{1,300}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_CONSTANTS = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}

Content: TypeAlias = "dict[str, Node] | list[Node] | str | int | float | bool | None"


@dataclass
class Node:
    """A value with its place. `raw` is a scalar's text, `plain` one that is not quoted; `size` counts the nodes
    with aliases expanded. `unset` marks a scalar that is nothing but a variable without a value, `tag` holds a tag
    of its format's own (`!reset`)."""

    value: Content
    path: str
    line: int
    raw: str = ""
    plain: bool = False
    unset: Literal["", "optional", "required"] = ""
    size: int = field(default=1, compare=False)
    tag: str = ""

    @property
    def where(self) -> str:
        return f"{self.path}:{self.line}"

    def refuse(self, message: str, hint: str = "") -> InvalidComponent:
        return InvalidComponent(message, where=self.where, hint=hint)

    def mapping(self, what: str) -> dict[str, "Node"]:
        if self.value is None:
            return {}
        if isinstance(self.value, dict):
            return self.value
        raise self.refuse(f"{what} must be a mapping of names to values")

    def items(self, what: str) -> list["Node"]:
        """A list; a single scalar counts as a list of one."""
        if self.value is None:
            return []
        if isinstance(self.value, list):
            return self.value
        if isinstance(self.value, dict):
            raise self.refuse(f"{what} must be a list")
        return [self]

    def text(self, what: str) -> str:
        if isinstance(self.value, dict | list):
            raise self.refuse(f"{what} must be a single value")
        return self.raw

    def integer(self, what: str) -> int:
        if isinstance(self.value, int) and not isinstance(self.value, bool):
            return self.value
        if re.fullmatch(r"-?[0-9]{1,18}", self.text(what)):
            return int(self.raw)
        raise self.refuse(f"{what} must be a whole number, not {self.raw[:60]!r}")


def load(files: Files, path: str) -> Node:
    """The document in the file. Raises `InvalidComponent` with file and line."""
    text = files.text(path)
    if text is None:
        raise InvalidComponent(f"{path} can't be read as text", where=path, hint="save it as UTF-8")
    return parse(text, path)


def parse(text: str, path: str) -> Node:
    return _within(text, path, _Builder(path).build)


def documents(text: str, path: str) -> list[Node]:
    """Each of those in a file that may hold several."""
    return _within(text, path, lambda stream: [_Builder(path).build(one) for one in _each(stream)])


def _each(stream: Iterator[events.Event]) -> Iterator[Iterator[events.Event]]:
    for event in stream:
        if isinstance(event, events.DocumentStartEvent):
            yield takewhile(lambda event: not isinstance(event, events.DocumentEndEvent), stream)


def _within(text: str, path: str, read: Callable[[Iterator[events.Event]], T]) -> T:
    try:
        return read(yaml.parse(text, Loader=yaml.CSafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = (mark.line + 1) if mark else 1
        raise InvalidComponent(f"not valid YAML: {error.problem or error.context}", where=f"{path}:{line}") from error
    except (yaml.YAMLError, ValueError) as error:
        line = text.count("\n", 0, getattr(error, "position", 0) or 0) + 1
        raise InvalidComponent(f"not valid YAML: {error}", where=f"{path}:{line}") from error


def resolve(text: str) -> Content:
    """The value of a plain scalar."""
    if text in _CONSTANTS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER.fullmatch(text):
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


class _Builder:
    """Builds nodes from events without recursion. `_open` holds the collections that are not complete yet."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._anchors: dict[str, Node] = {}
        self._open: list[tuple[Node, list[Node], str | None]] = []

    def build(self, stream: Iterator[events.Event]) -> Node:
        root: Node | None = None
        documents = 0
        for event in stream:
            documents += isinstance(event, events.DocumentStartEvent)
            if documents > 1:
                raise InvalidComponent("more than one YAML document", where=f"{self._path}:{_line(event)}")
            done = self._take(event)
            if done is not None:
                root = self._place(done) or root
        return root or Node(None, self._path, 1)

    def _take(self, event: events.Event) -> Node | None:
        """The node that this event completes."""
        if isinstance(event, events.MappingStartEvent | events.SequenceStartEvent):
            self._start(event)
            return None
        if isinstance(event, events.MappingEndEvent | events.SequenceEndEvent):
            return self._end()
        if isinstance(event, events.AliasEvent):
            return self._alias(event)
        if isinstance(event, events.ScalarEvent):
            plain = bool(event.implicit[0]) and not event.style
            value = resolve(event.value) if plain else event.value
            node = Node(value, self._path, _line(event), raw=event.value, plain=plain, tag=_tag(event))
            if event.anchor:
                self._anchors[event.anchor] = node
            return node
        return None

    def _start(self, event: events.MappingStartEvent | events.SequenceStartEvent) -> None:
        empty: Content = {} if isinstance(event, events.MappingStartEvent) else []
        node = Node(empty, self._path, _line(event), tag=_tag(event))
        if len(self._open) >= MAX_DEPTH:
            raise node.refuse(f"nested deeper than {MAX_DEPTH} levels")
        self._open.append((node, [], event.anchor))

    def _end(self) -> Node:
        node, children, anchor = self._open.pop()
        node.size += sum(child.size for child in children)
        if node.size > MAX_NODES:
            raise node.refuse(f"its aliases expand to more than {MAX_NODES} values")
        node.value = _mapping(children) if isinstance(node.value, dict) else children
        if anchor:
            self._anchors[anchor] = node
        return node

    def _alias(self, event: events.AliasEvent) -> Node:
        node = self._anchors.get(event.anchor or "")
        if node is None:
            raise InvalidComponent(
                f"*{event.anchor} names no complete value above it", where=f"{self._path}:{_line(event)}"
            )
        return node

    def _place(self, node: Node) -> Node | None:
        if not self._open:
            return node
        self._open[-1][1].append(node)
        return None


def _mapping(children: list[Node]) -> dict[str, Node]:
    """Keys and values in turn, with `<<` merged in beneath."""
    found: dict[str, Node] = {}
    merged: dict[str, Node] = {}
    for key, value in zip(children[::2], children[1::2], strict=True):
        if key.raw == "<<":
            for source in reversed(value.items("<<") if isinstance(value.value, list) else [value]):
                merged.update(source.mapping("<<"))
        elif isinstance(key.value, dict | list):
            raise key.refuse("a key must be a single value")
        elif key.raw in found:
            raise key.refuse(f"{key.raw!r} is given twice")
        else:
            found[key.raw] = value
    return merged | found


def _tag(event: events.NodeEvent) -> str:
    tag = getattr(event, "tag", None) or ""
    return tag if tag.startswith("!") else ""


def _line(event: events.Event) -> int:
    return int(event.start_mark.line) + 1 if event.start_mark else 1
