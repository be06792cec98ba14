"""What the terminal sees: text for people, JSON for programs; errors as what, where and hint."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table
from rich.text import Text

from iarnet.errors import IarnetError

STYLES = {
    "green": ("healthy", "completed", "kept", "succeeded", "running", "active", "ok", "ready"),
    "bold red": ("failed", "fail", "unreachable"),
    "yellow": (
        "degraded",
        "cancelled",
        "rolled-back",
        "removing",
        "stopping",
        "deleting",
        "draining",
        "warn",
        "waiting",
    ),
    "cyan": ("building", "starting", "deploying", "changing"),
}


class Show:
    """Results go to standard output, everything else to standard error. `live`: rows may be drawn again."""

    def __init__(self, *, as_json: bool, environ: Mapping[str, str]) -> None:
        color = None if not environ.get("NO_COLOR") else True
        self.json = as_json
        self.out = _console(sys.stdout, color)
        self.err = _console(sys.stderr, color)
        self.live = self.err.is_terminal and not environ.get("CI") and environ.get("TERM") != "dumb"

    def document(self, value: Any) -> None:
        """One JSON document."""
        self._write(json.dumps(plain(value), indent=2, ensure_ascii=False))

    def line(self, value: Any) -> None:
        """One JSON document of a stream, on one line."""
        self._write(json.dumps(plain(value), ensure_ascii=False))

    def result(self, value: Any, text: str = "") -> None:
        """The document with `--json`, the text without."""
        if self.json:
            self.document(value)
        elif text:
            self.text(text)

    def text(self, text: str, style: str = "") -> None:
        self.out.print(Text(printable(text), style=style))

    def note(self, text: str, style: str = "") -> None:
        """For people only, on standard error."""
        self.err.print(Text(printable(text), style=style))

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        self.out.print(table(columns, rows))

    def error(self, error: IarnetError) -> None:
        if self.json:
            sys.stderr.write(json.dumps({"error": error.details()}, ensure_ascii=False) + "\n")
            return
        named = not error.component or error.message.startswith(error.component)
        what = error.message if named else f"{error.component}: {error.message}"
        self.err.print(Text.assemble(("error: ", "bold red"), printable(what), (f"  [{error.code}]", "dim")))
        if error.where:
            self.note(f"  where: {error.where}")
        if error.hint:
            self.note(f"  hint:  {error.hint}")
        for line in error.log:
            self.note(f"  | {line}", style="dim")

    def _write(self, text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def _console(file: TextIO, no_color: bool | None) -> Console:
    # A file or a pipe has no edge to fold lines at: `iarnet apps ls | grep` must find whole words.
    width = None if file.isatty() else 10_000
    return Console(file=file, no_color=no_color, width=width, highlight=False, soft_wrap=True)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        drawn.add_column(column, overflow="fold")
    for row in rows:
        drawn.add_row(*(cell if isinstance(cell, Text) else Text(printable(str(cell))) for cell in row))
    return drawn


def styled(status: str) -> Text:
    """A status in the colour that it has everywhere."""
    return Text(status, style=next((style for style, names in STYLES.items() if status in names), ""))


def plain(value: Any) -> Any:
    """Models become JSON types, also inside of lists and mappings."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def printable(text: str) -> str:
    """Without control characters: what a container logs must not steer the terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)
