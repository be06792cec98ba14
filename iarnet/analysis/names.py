"""Names of components, and the nearest right name for a wrong one."""

import difflib
import re
from collections.abc import Iterable

FRONT = frozenset({"web", "frontend", "front", "client", "ui", "www", "site", "webapp", "website"})
"""Names that people give to what a browser talks to."""


def component_name(text: str) -> str:
    """Lower case, digits and single dashes, at most 40 characters; `app` when nothing is left."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40].strip("-") or "app"


def folder_name(path: str) -> str:
    """Of what is in a folder below the top: by its last part, unless that only says that there is code."""
    parts = path.split("/")
    return component_name(parts[-2] if len(parts) > 1 and is_inner(path) else parts[-1])


def is_inner(path: str) -> bool:
    """Whether a folder's name only says that there is code."""
    return path.rpartition("/")[2] in _INNER


_INNER = frozenset({"src", "source", "code"})


def unique(name: str, taken: Iterable[str]) -> str:
    taken = set(taken)
    if name not in taken:
        return name
    numbered = (f"{name[:36]}-{number}" for number in range(2, len(taken) + 3))
    return next(candidate for candidate in numbered if candidate not in taken)


def did_you_mean(wrong: str, right: Iterable[str]) -> str:
    """A hint: the nearest right name, or all of them."""
    right = sorted(right)
    near = difflib.get_close_matches(wrong, right, n=1, cutoff=0.5)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known: {', '.join(right)}" if right else ""


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())
