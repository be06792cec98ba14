"""What the documents say is so: links, paths, commands, names. Every option and setting: tests/unit/cli, config."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from iarnet import errors
from iarnet.cli.main import app
from workers.catalogue import WORKFLOWS

ROOT = Path(__file__).parents[3]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/README.md")])
FOLDERS = "iarnet|workflows|activities|workers|api|tests|docs|examples|setup"
LINK = re.compile(r"\]\(([^)\s]+)\)")
PATH = re.compile(rf"`((?:{FOLDERS})/[a-z0-9_./-]+)`")
FENCE = re.compile(r"(<!-- runnable -->\n+)?^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(iarnet [^`]+)`")
MAKE = re.compile(r"(?:`|^\$ |\n```sh\n)make ([a-z-]+)", re.MULTILINE)

each = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def fences(document: Path) -> list[tuple[bool, str]]:
    """Whether it is marked as runnable, and its lines; only what a person would type."""
    found = FENCE.findall(document.read_text())
    return [(bool(mark), body.replace("\\\n", " ")) for mark, kind, body in found if kind in ("sh", "console")]


def commands(document: Path) -> list[str]:
    """Every `iarnet …` that is shown, without comments, prompts and redirections."""
    lines = [line.removeprefix("$ ") for _, body in fences(document) for line in body.splitlines()]
    shown = [line for line in lines if line.startswith("iarnet ")]
    return [*shown, *INLINE.findall(FENCE.sub("", document.read_text()))]


def words(command: str) -> list[str]:
    split = shlex.split(re.sub(r"\s<\s*\S+", "", command), comments=True)
    return split[1 : split.index("|")] if "|" in split else split[1:]


def complaint(arguments: list[str]) -> str:
    """What the program has against them. With `--help` at the end it reads everything and does nothing."""
    done = CliRunner().invoke(app, [*arguments, "--help"])
    return "" if done.exit_code == 0 else done.stderr or str(done.exception)


def test_there_is_something_to_look_at() -> None:
    assert len(DOCUMENTS) > 20
    assert sum(len(commands(document)) for document in DOCUMENTS) > 100


@each
def test_links_lead_somewhere(document: Path) -> None:
    targets = [t.partition("#")[0] for t in LINK.findall(FENCE.sub("", document.read_text())) if "://" not in t]
    assert [target for target in targets if target and not (document.parent / target).exists()] == []


@each
def test_paths_exist(document: Path) -> None:
    text = FENCE.sub("", document.read_text())
    assert [path for path in PATH.findall(text) if not (ROOT / path).exists()] == []


@each
def test_commands_and_their_options_exist(document: Path) -> None:
    said = {command: complaint(words(command)) for command in commands(document)}
    assert {command: why for command, why in said.items() if why} == {}


def test_a_command_that_there_is_not_is_noticed() -> None:
    assert "--colour" in complaint(["deploy", "shop", "--colour", "red"])
    assert "paint" in complaint(["providers", "paint"])


@each
def test_make_targets_exist(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(MAKE.findall(document.read_text())) <= targets


RUNNABLE = [
    line
    for document in DOCUMENTS
    for marked, body in fences(document)
    for line in body.splitlines()
    if marked and line.strip()
]


@pytest.mark.parametrize("line", RUNNABLE)
def test_what_is_marked_as_runnable_runs(line: str) -> None:
    program, *arguments = shlex.split(line, comments=True)
    assert program == "iarnet"
    done = subprocess.run(
        [Path(sys.executable).parent / program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_something_is_marked_as_runnable() -> None:
    assert RUNNABLE


def test_the_test_command_of_the_readme_is_what_ci_runs() -> None:
    assert re.search(r"^make test\b", (ROOT / "README.md").read_text(), re.MULTILINE)
    last = (ROOT / ".ci" / "run").read_text().splitlines()[-1]
    assert last.split() == ["make", "--no-print-directory", "test"]


def test_decisions_are_numbered_without_a_gap() -> None:
    files = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [file.name[:4] for file in files] == [f"{n:04}" for n in range(1, len(files) + 1)]
    for file in files:
        text = file.read_text()
        assert text.startswith(f"# {file.name[:4]}: ")
        assert all(part in text for part in ("**Context.**", "**Choice.**", "**What it costs.**")), file.name


def test_every_workflow_can_be_started_by_what_is_written() -> None:
    text = (ROOT / "docs" / "how-to" / "start-from-temporal.md").read_text()
    named = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    assert sorted(named) == sorted(workflow.__name__ for workflow in WORKFLOWS)


def test_codes_in_the_table_of_failures_exist() -> None:
    text = (ROOT / "docs" / "how-to" / "when-something-fails.md").read_text()
    codes = set(re.findall(r"`([A-Z][a-z]+[A-Z]?\w*)`", text)) - {"X"}
    assert codes
    assert [code for code in codes if not hasattr(errors, code)] == []
