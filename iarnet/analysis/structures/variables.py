"""`${VAR:-default}` in compose files, by the rules of the compose specification."""

import re
from collections.abc import Mapping
from io import StringIO

from dotenv.parser import parse_stream

from iarnet.analysis.base import Files
from iarnet.analysis.structures.nodes import Node, resolve

MAX_NESTING = 10
_LITERAL = re.compile(r"=\s*'")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Interpolation:
    """Replaces variables and remembers which had no value (`missing`: name -> whether it is required)."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self.missing: dict[str, bool] = {}

    def beneath(self, variables: Mapping[str, str]) -> "Interpolation":
        """With further variables, which count where these have none. What is missing is remembered here."""
        if not variables:
            return self
        inner = Interpolation({**variables, **self._variables})
        inner.missing = self.missing
        return inner

    def apply(self, root: Node) -> None:
        """Every scalar below `root`, in place and once, however often it is aliased."""
        seen: set[int] = set()
        waiting = [root]
        while waiting:
            node = waiting.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            if isinstance(node.value, dict):
                waiting.extend(node.value.values())
            elif isinstance(node.value, list):
                waiting.extend(node.value)
            elif "$" in node.raw:
                self._scalar(node)

    def _scalar(self, node: Node) -> None:
        before = node.raw
        missing: dict[str, bool] = {}
        node.raw = self.text(before, missing)
        node.value = resolve(node.raw) if node.plain else node.raw
        self.missing.update(missing)
        alone = len(missing) == 1 and not node.raw and re.fullmatch(r"\$(\{[^{}]*\}|\w+)", before)
        if alone:
            node.unset = "required" if any(missing.values()) else "optional"

    def text(self, text: str, missing: dict[str, bool], depth: int = 0) -> str:
        parts: list[str] = []
        at = 0
        while (dollar := text.find("$", at)) >= 0:
            parts.append(text[at:dollar])
            replacement, at = self._variable(text, dollar, missing, depth)
            parts.append(replacement)
        return "".join([*parts, text[at:]])

    def _variable(self, text: str, dollar: int, missing: dict[str, bool], depth: int) -> tuple[str, int]:
        following = text[dollar + 1 : dollar + 2]
        if following == "$":
            return "$", dollar + 2
        if following == "{":
            end = _closing(text, dollar + 2)
            if end is not None and depth < MAX_NESTING:
                return self._braced(text[dollar + 2 : end], missing, depth), end + 1
        elif found := _NAME.match(text, dollar + 1):
            return self._value(found[0], missing, required=False), found.end()
        return "$", dollar + 1

    def _braced(self, expression: str, missing: dict[str, bool], depth: int) -> str:
        found = _NAME.match(expression)
        if not found:
            return "${" + expression + "}"
        operator = re.match(r":?[-?+]", expression[found.end() :])
        if not operator:
            return self._value(found[0], missing, required=False)
        argument = expression[found.end() + operator.end() :]
        value = self._variables.get(found[0])
        given = bool(value) if operator[0].startswith(":") else value is not None
        if operator[0].endswith("+"):
            return self.text(argument, missing, depth + 1) if given else ""
        if given:
            return value or ""
        if operator[0].endswith("-"):
            return self.text(argument, missing, depth + 1)
        return self._value(found[0], missing, required=True)

    def _value(self, name: str, missing: dict[str, bool], *, required: bool) -> str:
        value = self._variables.get(name)
        if value is None:
            missing[name] = required
        return value or ""


def env_file(files: Files, path: str, variables: Mapping[str, str] | None = None) -> dict[str, str] | None:
    """The settings in a file of `NAME=value` lines, without those that are none; None when there is no file.

    With `variables`, they and what stands above are put into values that are not in single quotes.
    """
    text = files.text(path)
    if text is None:
        return None
    found: dict[str, str] = {}
    for line in parse_stream(StringIO(text)):
        if line.key and not line.error:
            literal = variables is None or _LITERAL.search(line.original.string)
            known = Interpolation({**found, **(variables or {})})
            found[line.key] = (line.value or "") if literal else known.text(line.value or "", {})
    return found


def _closing(text: str, at: int) -> int | None:
    depth = 1
    for index in range(at, len(text)):
        depth += {"{": 1, "}": -1}.get(text[index], 0)
        if depth == 0:
            return index
    return None
