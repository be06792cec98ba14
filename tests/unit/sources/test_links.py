import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iarnet.sources.links import stays_inside


@pytest.mark.parametrize(
    ("links", "inside"),
    [
        ({"a": "b"}, True),
        ({"d/a": "../b"}, True),
        ({"a": "."}, True),
        ({"d/a": ".."}, True),
        ({"a": ".."}, False),
        ({"d/a": "../.."}, False),
        ({"a": "/etc/passwd"}, False),
        ({"a": "b/../../c"}, False),
        ({"d/a": "x/../..", "d/x": ".."}, False),
        ({"a": "b", "b": "/etc"}, False),
        ({"a": "b", "b": "a"}, False),
        ({"a": "b/c", "b": "d/e"}, True),
    ],
)
def test_links(links: dict[str, str], inside: bool) -> None:
    assert stays_inside(links, next(iter(links))) is inside


_TARGETS = st.lists(st.sampled_from(["..", ".", "a", "b", "d", "d/a"]), min_size=1, max_size=5).map("/".join)


@given(st.dictionaries(st.sampled_from(["a", "b", "d/a", "d/b"]), _TARGETS, min_size=1))
def test_a_link_that_is_kept_stays_inside_on_a_real_file_system(links: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(os.path.realpath(folder)) / "tree"
        (root / "d").mkdir(parents=True)
        for path, target in links.items():
            (root / path).symlink_to(target)
        for path in links:
            if not stays_inside(links, path):
                continue
            real = Path(os.path.realpath(root / path))
            assert real == root or root in real.parents, (links, path, real)
