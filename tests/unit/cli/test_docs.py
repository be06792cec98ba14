"""docs/cli.md names every command, every option and every exit code."""

from pathlib import Path

import typer

from iarnet.cli import exits
from iarnet.cli.main import EVERYWHERE, app

TEXT = (Path(__file__).parents[3] / "docs" / "cli.md").read_text()
SAME_AS_UP = {"iarnet config"}


def commands():
    root = typer.main.get_command(app)
    for name, command in root.commands.items():
        if hasattr(command, "commands"):
            yield from ((f"iarnet {name} {child}", leaf) for child, leaf in command.commands.items())
        else:
            yield f"iarnet {name}", command


def row_of(name):
    rows = [line for line in TEXT.splitlines() if line.startswith((f"| `{name}`", f"| `{name} "))]
    assert len(rows) == 1, f"{name} has {len(rows)} rows"
    return rows[0]


def test_every_command_has_a_row_with_all_its_options():
    missing = [
        f"{name} {option}"
        for name, command in commands()
        for parameter in command.params
        for option in parameter.opts
        if option.startswith("--") and option != "--help" and name not in SAME_AS_UP and option not in row_of(name)
    ]
    assert missing == []


def test_no_row_is_about_a_command_that_is_gone():
    known = {name for name, _ in commands()}
    rows = [line.split("`")[1] for line in TEXT.splitlines() if line.startswith("| `iarnet ")]
    assert [row for row in rows if not any(row == k or row.startswith(f"{k} ") for k in known)] == []
    assert len(rows) == len(known)


def test_the_options_that_all_commands_take():
    assert all(f"| `{option}" in TEXT for option in EVERYWHERE)


def test_every_exit_code():
    codes = [value for name, value in vars(exits).items() if name.isupper() and isinstance(value, int)]
    assert [code for code in codes if f"| {code} |" not in TEXT] == []
    assert len(codes) == 9
