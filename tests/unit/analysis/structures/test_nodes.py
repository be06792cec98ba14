import pytest
from hypothesis import given
from hypothesis import strategies as st

from iarnet.analysis.structures.nodes import MAX_DEPTH, parse
from iarnet.errors import IarnetError, InvalidComponent


def test_scalars_follow_yaml_1_2() -> None:
    found = parse('a: 22:22\nb: yes\nc: "1"\nd: 1\ne: true\nf:\ng: 1.50\n', "c.yaml").mapping("top")
    assert [found[key].value for key in "abcdefg"] == ["22:22", "yes", "1", 1, True, None, 1.5]
    assert found["g"].raw == "1.50"


def test_every_value_has_its_line() -> None:
    found = parse("a:\n  - x\n  - y\n", "c.yaml").mapping("top")["a"]
    assert [item.where for item in found.items("a")] == ["c.yaml:2", "c.yaml:3"]


def test_merge_keys_lie_beneath_own_keys() -> None:
    text = "base: &base {a: 1, b: 1}\nother: &other {b: 2, c: 2}\nservice:\n  <<: [*base, *other]\n  c: 3\n"
    found = parse(text, "c.yaml").mapping("top")["service"].mapping("service")
    assert {name: node.value for name, node in found.items()} == {"a": 1, "b": 1, "c": 3}


@pytest.mark.parametrize(
    ("text", "message", "where"),
    [
        ("a: [", "not valid YAML", "c.yaml:2"),
        ("a: 1\nb: 2\na: 3", "given twice", "c.yaml:3"),
        ("a: &a [*a]", "no complete value", "c.yaml:1"),
        ("--- a\n--- b", "more than one", "c.yaml:2"),
        ("x\n\x01", "not valid YAML", "c.yaml:2"),
        ("[" * (MAX_DEPTH + 1), "deeper", "c.yaml:1"),
        ("[" * 50_000, "deeper", "c.yaml:1"),
    ],
)
def test_broken_documents_are_refused_with_their_line(text: str, message: str, where: str) -> None:
    with pytest.raises(InvalidComponent) as refused:
        parse(text, "c.yaml")
    assert message in refused.value.message
    assert refused.value.where == where


def test_a_bomb_is_refused_without_expanding_it() -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 40)]
    with pytest.raises(InvalidComponent, match="aliases expand"):
        parse("\n".join(levels), "c.yaml")


@given(st.text(max_size=200) | st.text(alphabet="ab:-[]{}&*<>|!%#'\"\n ,?", max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    where = "c.yaml:1"
    try:
        parse(text, "c.yaml")
    except IarnetError as refused:
        where = refused.where
    assert where.startswith("c.yaml:")
