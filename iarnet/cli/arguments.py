"""Arguments and options that several commands share, and how their text is read."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from iarnet.cli.exits import CANCELLED
from iarnet.cli.session import Session
from iarnet.errors import InvalidInput

APP_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")

App = Annotated[str, typer.Argument(metavar="APP", help="name of the application", show_default=False)]
Component = Annotated[str, typer.Argument(metavar="COMPONENT", help="name of the component", show_default=False)]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="change a setting, kept in the clear: web.replicas=2, api.env.DEBUG=1; repeatable",
    ),
]
Secret = Annotated[
    list[str] | None,
    typer.Option("--secret", metavar="KEY=NAME", help="use a stored secret: api.env.TOKEN=name; repeatable"),
]
Components = Annotated[
    list[str] | None,
    typer.Option("--component", "-c", metavar="NAME", help="only this one and what it needs; repeatable"),
]
OnFailure = Annotated[
    str, typer.Option(metavar="auto|hold|rollback", help="keep what is healthy, or go back, when something fails")
]
Fetch = Annotated[bool, typer.Option("--fetch/--no-fetch", help="look for a new commit first")]
Detach = Annotated[bool, typer.Option("--detach", "-d", help="only start it, don't wait for the end")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="don't ask")]
Name = Annotated[str | None, typer.Option(help="name of the application; else the repository's")]
Ref = Annotated[str, typer.Option(help="branch, tag or commit; else the default branch")]
Credential = Annotated[str | None, typer.Option(help="name of a stored secret: a token or a deploy key")]
Subdir = Annotated[str, typer.Option(help="folder of the repository that holds the application")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="go on with what comes next, until Ctrl-C")]


def pairs(texts: Sequence[str] | None, option: str, *, example: str = "web.replicas=2") -> dict[str, str]:
    """`["a=1", "b=x=y"]` -> `{"a": "1", "b": "x=y"}`. Raises `InvalidInput`."""
    found: dict[str, str] = {}
    for text in texts or ():
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise InvalidInput(f"`{text}` is not KEY=VALUE", where=option, hint=f"write {option} {example}")
        if key in found:
            raise InvalidInput(f"`{key}` is given twice", where=option, hint="give it once")
        found[key] = value
    return found


def counts(texts: Sequence[str]) -> dict[str, int]:
    """`["web=3"]` -> `{"web": 3}`. Raises `InvalidInput`."""
    found = pairs(texts, "COMPONENT=N")
    bad = next((f"{key}={value}" for key, value in found.items() if not re.fullmatch(r"[0-9]{1,3}", value)), None)
    if bad:
        raise InvalidInput(f"`{bad}` has no number of replicas", where="COMPONENT=N", hint="write web=3")
    return {key: int(value) for key, value in found.items()}


def is_app(text: str) -> bool:
    """Whether it is the name of an application, and not an address or a path (`./shop`)."""
    return APP_NAME.fullmatch(text) is not None


def repository(text: str, cwd: Path) -> str:
    """An address as the node can use it: a folder of this machine becomes `file://`."""
    path = (cwd / Path(text).expanduser()) if not re.match(r"[a-z+]+://|[^/]+@[^/]+:", text) else None
    return f"file://{path.resolve()}" if path and path.is_dir() else text


def confirm(session: Session, question: str, *, yes: bool) -> None:
    """Ask before what can't be undone. Raises `InvalidInput` where nobody can answer."""
    if yes:
        return
    if session.show.json or not session.show.err.is_terminal:
        raise InvalidInput("nobody can be asked here", where="--yes", hint="give --yes when you are sure")
    if not typer.confirm(question, err=True):
        raise typer.Exit(CANCELLED)
