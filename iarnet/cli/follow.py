"""Watching a run until it ends: rows that are drawn again on a terminal, one line a change elsewhere."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from rich.console import Group
from rich.live import Live
from rich.text import Text

from iarnet.cli.session import Session
from iarnet.cli.show import Show, printable, styled, table
from iarnet.errors import Cancelled, IarnetError, NodeUnreachable, error_from

PATIENCE_S, PAUSE_S = 60.0, 1.0


@dataclass(frozen=True)
class Ended:
    """`result` is what the workflow returned, None when it failed."""

    run: dict[str, Any]
    progress: dict[str, Any]
    result: dict[str, Any] | None

    def document(self) -> dict[str, Any]:
        return {**self.run, "progress": self.progress, "result": self.result}


def follow(session: Session, run: dict[str, Any]) -> Ended:
    """Until the end of the run. Raises the error that it failed with, `Cancelled` when it was cancelled.

    Ctrl-C leaves it going and says so.
    """
    try:
        ended = _watch(session, run)
    except KeyboardInterrupt:
        _detached(session.show, run)
        raise
    if error := _error_of(ended):
        if session.show.json:
            session.show.document(ended.document())
        for left in ended.progress.get("not_undone", ()):
            session.show.note(f"not undone: {left}", style="yellow")
        raise error
    return ended


def _watch(session: Session, run: dict[str, Any]) -> Ended:
    with _drawing(session.show, _title(run)) as drawing:
        for name, data in _patiently(session, run):
            if name == "done":
                drawing.draw(data["progress"])
                return Ended(run, data["progress"], data.get("result"))
            drawing.draw(data)
    raise NodeUnreachable("the node stopped telling about the run", where=str(run["follow"]), hint=_again(run))


def _patiently(session: Session, run: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """A node that restarts carries on with the run, so a lost connection is made again for a minute."""
    path = _path(run)
    lost_at = 0.0
    while True:
        try:
            for event in session.node.follow(*path, "events"):
                lost_at = 0.0
                yield event
            return
        except NodeUnreachable:
            lost_at = lost_at or time.monotonic()
            if time.monotonic() - lost_at > PATIENCE_S:
                raise
            session.show.note("connection lost, trying again", style="yellow")
            time.sleep(PAUSE_S)


def _title(run: dict[str, Any]) -> str:
    """`change.shop` -> `shop`, `import.shop.main` -> `import shop`."""
    kind, app, *_ = str(run["workflow_id"]).split(".")
    return app if kind == "change" else f"{kind} {app}"


def _path(run: dict[str, Any]) -> list[str]:
    return [unquote(part) for part in str(run["follow"]).removeprefix("/api/v1/").split("/")]


def _error_of(ended: Ended) -> IarnetError | None:
    status = str(ended.progress.get("status"))
    if failure := ended.progress.get("failure"):
        return error_from(failure)
    if status == "cancelled":
        return Cancelled("the run was cancelled", hint=f"`iarnet status {ended.progress['app']}` shows what is there")
    return None if status == "succeeded" else IarnetError(f"the run ended as {status}", hint=_again(ended.run))


def _again(run: dict[str, Any]) -> str:
    return f"look at it at {run['url']}" if run.get("url") else "`iarnet events APP` tells what happened"


def _detached(show: Show, run: dict[str, Any]) -> None:
    app = str(run["workflow_id"]).split(".")[1]
    show.note(f"\n{run['workflow_id']} goes on without you.", style="yellow")
    show.note(f"  follow it:  iarnet events {app} -f" + (f"   or {run['url']}" if run.get("url") else ""))
    show.note(f"  cancel it:  iarnet cancel {app}")


class Drawing:
    """Silent with `--json`."""

    def draw(self, progress: dict[str, Any]) -> None:
        pass


@dataclass
class Lines(Drawing):
    """One line for each thing that changed."""

    show: Show
    title: str
    seen: dict[str, tuple[str, str]] = field(default_factory=dict)

    def draw(self, progress: dict[str, Any]) -> None:
        """The end of the run comes after the end of its parts."""
        ended = progress["status"] != "running"
        if not ended:
            self._tell(self.title, "running", progress.get("step", ""))
        for row in progress["components"]:
            self._tell(f"{progress['app']}/{row['component']}", row["phase"], row["detail"])
        if ended:
            self._tell(self.title, progress["status"], progress.get("step", ""))

    def _tell(self, name: str, phase: str, detail: str) -> None:
        if self.seen.get(name) != (phase, detail):
            self.seen[name] = (phase, detail)
            self.show.note(f"{name}: {phase}" + (f" - {detail}" if detail else ""))


@dataclass
class Rows(Drawing):
    live: Live
    title: str
    began: float

    def draw(self, progress: dict[str, Any]) -> None:
        rows = [(r["component"], styled(r["phase"]), r["provider_id"], r["detail"]) for r in progress["components"]]
        status = progress["status"]
        took = f"  {time.monotonic() - self.began:.0f} s"
        head = Text.assemble((self.title, "bold"), "  ", styled(status), (took, "dim"), "  ")
        head.append(printable(progress.get("step", "")), style="dim")
        self.live.update(Group(head, table(("component", "phase", "provider", ""), rows)) if rows else head)


class _Live(AbstractContextManager[Rows]):
    def __init__(self, show: Show, title: str) -> None:
        self._title = title
        self._live = Live(console=show.err, refresh_per_second=8, transient=False)

    def __enter__(self) -> Rows:
        self._live.start()
        return Rows(self._live, self._title, time.monotonic())

    def __exit__(self, *_: object) -> None:
        self._live.stop()


def _drawing(show: Show, title: str) -> AbstractContextManager[Drawing]:
    if show.json:
        return nullcontext(Drawing())
    return _Live(show, title) if show.live else nullcontext(Lines(show, title))
