"""Every field of a compose file: that it is read as the table says, and that the page for users says the same."""

from pathlib import Path

import pytest

from iarnet.analysis.structures.compose_table import SERVICE, TOP, Field, unused
from iarnet.analysis.structures.nodes import parse

PAGE = Path(__file__).parents[4] / "docs/compose.md"


def seen(text: str, table: dict[str, Field] | None = None) -> list[tuple[str, str, int]]:
    given = parse(text, "compose.yaml").mapping("a service")
    return [(each.name, each.field.fate, each.node.line) for each in unused(given, table or SERVICE)]


def row(name: str, field: Field) -> str:
    asked, _, value = name.partition("=")
    return f"| `{asked}{': ' if value else ''}{value}` | {field.why} |"


@pytest.mark.parametrize(("table", "title"), [(SERVICE, "services"), (TOP, "top")])
def test_the_page_lists_them_all(table: dict[str, Field], title: str) -> None:
    text = PAGE.read_text().partition(f"<!-- {title} -->")[2].partition("<!-- end -->")[0]
    sections = {part.partition("\n")[0].strip(): part.splitlines() for part in text.split("### ")[1:]}
    for fate in ("carried", "done", "no-effect", "withheld", "not-supported"):
        wanted = [row(name, field) for name, field in sorted(table.items()) if field.fate == fate]
        listed = [line for line in sections.get(f"`{fate}`", []) if line.startswith("| `")]
        assert listed == wanted, fate


def test_what_has_an_effect_is_not_told() -> None:
    assert (
        seen("image: x\nrestart: always\ndeploy: {replicas: 2, resources: {limits: {cpus: 1}}}\nx-mine: {a: b}") == []
    )


def test_a_value_may_decide() -> None:
    text = (
        "privileged: false\nnetwork_mode: host\nipc: 'service:db'\nsecurity_opt: [no-new-privileges=true, seccomp=a]"
    )
    assert seen(text) == [
        ("network_mode", "withheld", 2),
        ("ipc", "not-supported", 3),
        ("security_opt", "withheld", 4),
    ]
    assert seen("network_mode: none") == []
    assert seen("network_mode: 'container:x'") == [("network_mode", "not-supported", 1)]


def test_fields_within_fields_and_names_that_users_choose() -> None:
    text = "build:\n  context: .\n  ssh: [default]\nnetworks:\n  back: {aliases: [a], priority: 3}\n"
    text += "ports: [{target: 1, name: n}]"
    assert seen(text) == [
        ("build.ssh", "not-supported", 3),
        ("networks.back.priority", "no-effect", 5),
        ("ports.name", "no-effect", 6),
    ]
    assert seen("volumes:\n  data: {external: true}\n  own: {external: false}", dict(TOP)) == [
        ("volumes.data.external", "withheld", 2)
    ]


def test_what_compose_does_not_know() -> None:
    assert seen("imgae: x\nhealthcheck: {tset: y}") == [
        ("imgae", "not-supported", 1),
        ("healthcheck.tset", "not-supported", 2),
    ]
