"""What a text must contain for an expression to match."""

import re
from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iarnet.analysis import ecosystems
from iarnet.analysis.ecosystems.signs import Signs
from iarnet.analysis.needles import may_match, needles


def expressions() -> Iterator[re.Pattern[str]]:
    for found in iter_modules(ecosystems.__path__):
        values = vars(import_module(f"{ecosystems.__name__}.{found.name}")).values()
        for value in values:
            inside = vars(value).values() if isinstance(value, Signs) else (value,)
            yield from (each for each in inside if isinstance(each, re.Pattern))


ALL = sorted(set(expressions()), key=lambda expression: expression.pattern)


@given(st.data())
def test_no_match_is_ever_missed(data: st.DataObject) -> None:
    expression = data.draw(st.sampled_from(ALL))
    text = data.draw(st.from_regex(expression))
    assert may_match(expression, text)


@pytest.mark.parametrize(
    ("pattern", "groups"),
    [
        (r"os\.Getenv\(\"(\w+)\"\)", {('os.Getenv("',), ('")',)}),
        (r"\.(?:listen|serve)\(", {("listen", "serve")}),
        (r"(?:text/html|a)", set()),
        (r"(?:never)?always", {("always",)}),
        (r"(?i)Text/HTML", {("text/html",)}),
        (r"\w+\s*=", set()),
    ],
)
def test_what_is_looked_for(pattern: str, groups: set[tuple[str, ...]]) -> None:
    assert set(needles(re.compile(pattern))) == groups


def test_all_groups_are_wanted() -> None:
    expression = re.compile(r"import\.meta\.env\.(\w+) \?\? ")
    assert not may_match(expression, "import.meta.env.PORT")
    assert may_match(expression, "import.meta.env.PORT ?? 3000")
