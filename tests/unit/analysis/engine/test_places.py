"""The indexes over paths give what a look at every path gives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iarnet.analysis.places import Places
from tests.depth import LONGEST_S, searching

PARTS = st.sampled_from(["a", "a-b", "a.b", "b", "node_modules", ".env", "x.py", "py", "x.env.example", "Dockerfile"])
PATHS = st.sets(st.lists(PARTS, min_size=1, max_size=5).map("/".join), max_size=40)


def keep(folder: str) -> bool:
    return "node_modules" not in folder.split("/")


@pytest.mark.search
@pytest.mark.timeout(LONGEST_S)
@searching(usually=150, deep=20_000)
@given(PATHS, st.sampled_from(["", "a", "a/b", "a.b", "b/a"]))
def test_places_are_what_every_path_says(paths: set[str], root: str) -> None:
    places = Places(sorted(paths), keep)
    kept = sorted(path for path in paths if keep(path.rpartition("/")[0]))
    below = [path for path in kept if not root or path.startswith(f"{root}/")]
    assert places.below(root) == below
    for names in (("x.py",), ("Dockerfile", ".env"), ("py", "a.b")):
        assert places.named(names, root) == [path for path in below if path.rpartition("/")[2] in names]
    for suffixes in ((".py",), (".py", ".b"), ("py",), (".env.example", ".py"), ("file", ".env")):
        assert places.ending(suffixes, root) == [path for path in below if path.endswith(suffixes)]
    files = sorted(path for held, _ in places.folders.values() for path in held)
    assert files == kept
    assert all(keep(folder) for folder in places.folders)


def test_a_folder_knows_the_folders_in_it() -> None:
    places = Places(["a/b/c/x", "a/node_modules/d/y", "a.b/x", "x"], keep)
    assert places.folders == {
        "": (["x"], ["a", "a.b"]),
        "a": ([], ["a/b"]),
        "a/b": ([], ["a/b/c"]),
        "a/b/c": (["a/b/c/x"], []),
        "a.b": (["a.b/x"], []),
    }
