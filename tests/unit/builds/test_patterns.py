import time

import pytest
from docker.utils.build import Pattern
from hypothesis import given
from hypothesis import strategies as st

from iarnet.builds.context import ignored_patterns
from iarnet.builds.patterns import Patterns
from tests.depth import searching


@pytest.mark.parametrize(
    ("text", "ignored", "kept"),
    [
        ("", "", "a .dockerignore"),
        ("*.log", "a.log .log", "d/a.log a.logs"),
        ("a?c", "abc ABC", "a/c ac abcd"),
        ("[a-c]x", "ax cx", "dx x"),
        ("[!a-c]x", "dx", "ax"),
        ("[]x", "[]x", "x ]x"),
        ("[z-a]", "", "z a -"),
        ("/a/\nb", "a a/b/c b", "d/a ab"),
        ("**", "a a/b", ""),
        ("**/x", "x a/x a/b/x x/a/b a/x/b/c", "ax xa"),
        ("a/**", "a/b a/b/c", "a b"),
        ("a/**/b", "a/b a/c/b a/c/d/b/e", "ab a/cb"),
        ("a**b", "ab ac/b a/c/b", "acb"),
        ("*\n!a\n!b/c", "b b/d c", "a a/d b/c"),
        ("a\n!a/b\na/b/c", "a/x a/b/c", "a/b a/b/d"),
        ("../a", "a", "b"),
        (".", "", "a"),
    ],
)
def test_what_patterns_mean(text: str, ignored: str, kept: str) -> None:
    patterns = Patterns(ignored_patterns(text))
    assert [path for path in ignored.split() if not patterns.ignore(path)] == []
    assert [path for path in kept.split() if patterns.ignore(path)] == []


_TEXT = st.lists(
    st.text("ab*?/!.", max_size=7) | st.lists(st.sampled_from(["a", "b", "*", "**", "/", "[ab]"])).map("".join),
    max_size=4,
)
_PATH = st.lists(st.text("ab.", min_size=1, max_size=3), min_size=1, max_size=4).map("/".join)


@searching(usually=500, deep=100_000)
@given(_TEXT, st.lists(_PATH, min_size=1))
def test_they_mean_what_they_mean_to_docker(lines: list[str], paths: list[str]) -> None:
    cleaned = ignored_patterns("\n".join(lines))
    ours, theirs = Patterns(cleaned), [pattern for pattern in map(Pattern, cleaned) if pattern.dirs]
    assert [ours.ignore(path) for path in paths] == [_ignored(theirs, path) for path in paths]


def _ignored(patterns: list[Pattern], path: str) -> bool:
    """docker-py itself asks for folders of one depth only, because it never walks into those that it leaves out."""
    parts = path.split("/")
    places = ["/".join(parts[:depth]) for depth in range(1, len(parts) + 1)]
    hits = [pattern for pattern in patterns if any(pattern.match(place) for place in places)]
    return bool(hits) and not hits[-1].exclusion


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*a" * 30 + "*b", "a" * 250),
        ("**/a" * 30 + "/b", "/".join("a" * 120)),
        ("**a" * 30 + "b", "a/" * 120 + "a"),
        ("[" * 100_000, "a"),
    ],
)
def test_no_pattern_takes_long(pattern: str, path: str) -> None:
    before = time.process_time()
    assert not Patterns([pattern]).ignore(path)
    assert time.process_time() - before < 1
