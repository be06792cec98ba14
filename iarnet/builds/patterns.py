"""What the patterns of a `.dockerignore` mean. Pure.

As regular expressions, patterns with many stars take Python a time that is exponential in them. So all patterns are
followed at once, with a bit for each place in them that a match may have come to, and nothing is ever gone back to
(R. Baeza-Yates, G. H. Gonnet: A New Approach to Text Searching, 1992). A path costs its length times theirs.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

# What is longer than any class that someone writes is none: looking for ends over and over would take long.
_PART = re.compile(r"\*\*/?|\[!?+\]?+[^\]]{0,250}+\]|.", re.DOTALL)
_RANGE = re.compile(r"(.)-(.)|(.)", re.DOTALL)

_STAR, _REST, _SKIP, _FOLDERS, _END = "star", "rest", "skip", "folders", "end"
"""Places that are no letter: `*`; `**` at the end; before it elsewhere, where it may stand for nothing; in it, until
some slash; behind the pattern, which has matched."""


class Patterns:
    """Patterns as `context.ignored_patterns` gives them, each of which means what it does to docker-py."""

    def __init__(self, patterns: Iterable[str]) -> None:
        each = [(not pattern.startswith("!"), _places(pattern.removeprefix("!"))) for pattern in patterns]
        self._places = [place for _, places in each for place in places]
        self._skips = _bits(place == _SKIP for place in self._places)
        self._optional = _bits(place in (_STAR, _REST) for place in self._places)
        self._ends = _bits(place == _END for place in self._places)
        self._ignoring = _bits(ignoring for ignoring, places in each for _ in places)
        self._starts = self._skipped(_bits(at == 0 for _, places in each for at in range(len(places))))
        self._ways = lru_cache(maxsize=256)(self._ways_of)

    def ignore(self, path: str) -> bool:
        """Whether the last pattern that matches the path, or a folder that it is in, is no exception (`!`)."""
        reached, hits = self._starts, 0
        for letter in f"{path}/".lower():
            if letter == "/":
                hits |= reached & self._ends
            onward, staying = self._ways(letter)
            reached = self._skipped((reached & onward) << 1 | reached & staying)
            if not reached:
                break
        last = 1 << hits.bit_length() >> 1
        return bool(last & self._ignoring)

    def _skipped(self, reached: int) -> int:
        """With what is reached without a letter: what follows stars, and `**` on either way."""
        skips = reached & self._skips
        reached |= skips << 1 | skips << 2
        return reached | (reached & self._optional) << 1

    def _ways_of(self, letter: str) -> tuple[int, int]:
        """The places that the letter leads on from, and those where it may stay."""
        stays = (_FOLDERS, _REST) if letter == "/" else (_FOLDERS, _REST, _STAR)
        onward = _bits(_takes(place, letter) for place in self._places)
        return onward, _bits(place in stays for place in self._places)


def _places(pattern: str) -> list[str]:
    path = "/".join(part for part in pattern.lower().split("/") if part not in ("", ".", ".."))
    return [*_spread(_PART.findall(path)), _END] if path else []


def _spread(parts: list[str]) -> Iterator[str]:
    for part, following in zip(parts, [*parts[1:], ""], strict=True):
        if not part.startswith("**"):
            yield _STAR if part == "*" else part
        elif not following:
            yield _REST
        # One after the other are as good as one.
        elif not following.startswith("**"):
            yield from (_SKIP, _FOLDERS)


def _takes(place: str, letter: str) -> bool:
    if place == "?":
        return letter != "/"
    if place == _FOLDERS:
        return letter == "/"
    if place[0] == "[" and place[-1] == "]":
        return _in_class(place[1:-1], letter)
    return place == letter


def _in_class(members: str, letter: str) -> bool:
    ranges = _RANGE.findall(members.removeprefix("!"))
    return members.startswith("!") != any(first <= letter <= last or letter == one for first, last, one in ranges)


def _bits(flags: Iterable[bool]) -> int:
    """The first one is the lowest."""
    return int("".join("01"[flag] for flag in flags)[::-1] or "0", 2)
