"""What an application says and what happened to it."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.text import Text

from iarnet.cli.apps import checked_app
from iarnet.cli.arguments import App, Follow
from iarnet.cli.session import Session, session_of
from iarnet.cli.show import printable
from iarnet.errors import InvalidInput

Tail = Annotated[int, typer.Option(help="lines of each instance to begin with", min=0, max=10_000)]
_COLORS = ("cyan", "green", "magenta", "yellow", "blue", "red")


def logs(
    ctx: typer.Context,
    app: App,
    component: Annotated[str | None, typer.Argument(metavar="[COMPONENT]", show_default=False)] = None,
    follow: Follow = False,
    tail: Tail = 200,
    build: Annotated[bool, typer.Option("--build", help="the output of the component's last build instead")] = False,
) -> None:
    """The lines that an application prints. With `--json`, one document a line."""
    session = session_of(ctx)
    checked_app(app)
    if build:
        return _build_log(session, app, component)
    query = {"component": component, "tail": tail}
    if not follow:
        found = session.node.get("apps", app, "logs", **query)
        lines = [("line", line) for line in found["lines"]] + [("problem", p) for p in found["problems"]]
        return _print_lines(session, iter(lines))
    return _print_lines(session, session.node.follow("apps", app, "logs", follow=True, **query))


def events(
    ctx: typer.Context,
    app: App,
    follow: Follow = False,
    after: Annotated[int, typer.Option(help="only events with a higher number", min=0)] = 0,
) -> None:
    """What happened to an application, oldest first. With `--json`, one document a line."""
    session = session_of(ctx)
    checked_app(app)
    for event in _events(session, app, after, follow):
        if session.show.json:
            session.show.line(event)
            continue
        what = "/".join(part for part in (event["app"], event["component"]) if part)
        text = Text.assemble((event["time"], "dim"), "  ", (what, "bold"), "  ", event["kind"], "  ")
        session.show.out.print(text + Text(printable(event["message"])))


def _events(session: Session, app: str, after: int, follow: bool) -> Iterator[dict[str, Any]]:
    if follow:
        yield from (data for name, data in session.node.follow("apps", app, "events", follow=True, after=after))
        return
    while page := session.node.get("apps", app, "events", after=after, limit=1000)["events"]:
        yield from page
        after = page[-1]["id"]


def _print_lines(session: Session, lines: Iterator[tuple[str, dict[str, Any]]]) -> None:
    colors: dict[str, str] = {}
    for name, line in lines:
        if session.show.json:
            session.show.line(line)
        elif name == "problem":
            session.show.note(f"{line['instance']}: {line['message']}  [{line['code']}]", style="yellow")
        else:
            color = colors.setdefault(line["instance"], _COLORS[len(colors) % len(_COLORS)])
            session.show.out.print(Text.assemble((f"{line['component']} | ", color), printable(line["text"])))


def _build_log(session: Session, app: str, component: str | None) -> None:
    if component is None:
        raise InvalidInput(
            "whose build?", where="COMPONENT", hint=f"name the component: iarnet logs {app} web --build"
        )
    found = session.node.get("apps", app, "components", component, "build-log")
    session.show.result(found, "\n".join(found["lines"]))
