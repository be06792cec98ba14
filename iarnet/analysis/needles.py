"""What a text must contain for an expression to match: plain search finds that out many times as fast."""

import re
from collections.abc import Iterable
from functools import cache
from importlib import import_module
from typing import Any

_SYNTAX = import_module("re._parser")
"""How `re` itself reads an expression."""
SHORTEST = 2
_FOLDED = int(re.IGNORECASE)

Group = tuple[str, ...]


def may_match(expression: re.Pattern[str], text: str) -> bool:
    """False when there is certainly no match."""
    folded = text.lower() if expression.flags & _FOLDED else text
    return all(any(needle in folded for needle in group) for group in needles(expression))


@cache
def needles(expression: re.Pattern[str]) -> tuple[Group, ...]:
    """Groups of texts: each match contains at least one of every group. In lower case where case is ignored."""
    groups = _of_sequence(_SYNTAX.parse(expression.pattern, expression.flags & ~int(re.UNICODE)))
    telling = [group for group in groups if min(map(len, group)) >= SHORTEST]
    if expression.flags & _FOLDED:
        telling = [tuple(text.lower() for text in group) for group in telling]
    return tuple(sorted(set(telling), key=lambda group: (len(group), group)))


def _of_sequence(items: Iterable[Any]) -> list[Group]:
    found: list[Group] = []
    run = ""
    for operation, argument in items:
        if str(operation) == "LITERAL":
            run += chr(argument)
            continue
        found += [(run,)] if run else []
        run = ""
        found += _of_item(str(operation), argument)
    return [*found, (run,)] if run else found


def _of_item(operation: str, argument: Any) -> list[Group]:
    if operation == "SUBPATTERN":
        _, added, _, inside = argument
        return [] if added & _FOLDED else _of_sequence(inside)
    if operation == "BRANCH":
        best = [max(_of_sequence(branch), key=_rarity, default=()) for branch in argument[1]]
        return [tuple(dict.fromkeys(text for group in best for text in group))] if all(best) else []
    if operation in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        least, _, inside = argument
        return _of_sequence(inside) if least else []
    return []


def _rarity(group: Group) -> int:
    """The longer a text, the fewer files have it."""
    return min(map(len, group))
