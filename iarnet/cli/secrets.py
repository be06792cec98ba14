"""Values that are stored sealed: they go in and never come out."""

import sys
from typing import Annotated

import typer

from iarnet.cli.arguments import Yes, confirm
from iarnet.cli.session import Session, session_of
from iarnet.errors import InvalidInput

SecretName = Annotated[
    str, typer.Argument(metavar="NAME", help="such as shop/api-key or credentials/github", show_default=False)
]


def set_(ctx: typer.Context, name: SecretName) -> None:
    """Store a secret. Its value is asked for, or read from standard input; arguments are seen by others."""
    session = session_of(ctx)
    session.node.put("secrets", name, body={"value": _value(session)})
    session.show.result({"name": name, "stored": True}, f"{name} is stored")


def ls(ctx: typer.Context) -> None:
    """The names of all secrets."""
    session = session_of(ctx)
    found = session.node.get("secrets")
    session.show.result(found, "\n".join(found["names"]) or "no secrets yet: `iarnet secrets set NAME`")


def rm(ctx: typer.Context, name: SecretName, yes: Yes = False) -> None:
    """Forget a secret."""
    session = session_of(ctx)
    confirm(session, f"Forget {name}?", yes=yes)
    session.node.delete("secrets", name)
    session.show.result({"name": name, "removed": True}, f"{name} is forgotten")


def _value(session: Session) -> str:
    if sys.stdin.isatty():
        value: str = typer.prompt("value", hide_input=True, err=True)
    else:
        # The line end belongs to `echo`, not to the token; those inside belong to a key.
        value = sys.stdin.read().removesuffix("\n").removesuffix("\r")
    if not value:
        raise InvalidInput("there is no value", where="standard input", hint="pipe it in, or run this on a terminal")
    return value
