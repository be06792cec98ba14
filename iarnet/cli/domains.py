"""Names under which people reach applications."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from iarnet.cli.apps import checked_app
from iarnet.cli.arguments import App, Component, Detach, Yes, confirm
from iarnet.cli.exits import FAILED
from iarnet.cli.session import Session, session_of
from iarnet.cli.show import styled
from iarnet.cli.traffic import OfApp
from iarnet.errors import InvalidInput, NotFound

COLUMNS = ("url", "leads to", "certificate", "state", "valid until", "")
WAITS_S, PAUSE_S = 60.0, 0.3

Host = Annotated[
    str, typer.Argument(metavar="NAME", help="such as shop.localhost or *.example.org", show_default=False)
]


def ls(ctx: typer.Context, app: OfApp = None) -> None:
    """The names, what they lead to, and whether their certificates are valid."""
    session = session_of(ctx)
    found = domains_of(session, app)
    if session.show.json:
        return session.show.document({"domains": found})
    if not found:
        return session.show.text("no domains: `iarnet domains add shop.localhost shop web`")
    return session.show.table(COLUMNS, [_row(d) for d in found])


def add(
    ctx: typer.Context,
    host: Host,
    app: App,
    component: Component,
    port: Annotated[int, typer.Option(help="of the component; else its first with HTTP", min=0, max=65535)] = 0,
    cert: Annotated[Path | None, typer.Option(metavar="FILE", help="certificate chain of your own, PEM")] = None,
    key: Annotated[Path | None, typer.Option(metavar="FILE", help="its private key, PEM")] = None,
    acme: Annotated[bool, typer.Option("--acme", help="get a certificate from the ACME server")] = False,
    http_only: Annotated[bool, typer.Option("--http-only", help="no certificate: HTTP alone")] = False,
    plain: Annotated[bool, typer.Option("--plain", help="answer HTTP, too, instead of redirecting it")] = False,
    redirect_to: Annotated[str | None, typer.Option(metavar="NAME", help="redirect everything there")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="change the domain that has this name")] = False,
    detach: Detach = False,
) -> None:
    """Have people reach a component under a name. Its certificate is our own authority's, if nothing else is said."""
    session = session_of(ctx)
    body = {
        "app": checked_app(app),
        "component": component,
        "port": port,
        "certificate": _kind(cert, key, acme=acme, http_only=http_only),
        "chain": _read(session, cert, "--cert"),
        "key": _read(session, key, "--key"),
        "plain": plain,
        "redirect_to": redirect_to,
    }
    if replace:
        found = session.node.put("communication", "domains", host, body=body)
    else:
        found = session.node.post("communication", "domains", body=body | {"host": host})
    if not detach:
        found = _settled(session, found)
    session.show.result(found, f"{found['url']} -> {_target(found)}: {found['state']}")
    for text, style in ((found["problem"], "red"), (found["warning"], "yellow")):
        if text:
            session.show.note(text, style=style)
    if found["problem"]:
        raise typer.Exit(FAILED)


def rm(ctx: typer.Context, host: Host, yes: Yes = False) -> None:
    """Answer a name no longer. Its certificate and key go with it."""
    session = session_of(ctx)
    confirm(session, f"Remove {host}?", yes=yes)
    session.node.delete("communication", "domains", host)
    session.show.result({"host": host, "removed": True}, f"{host} is removed")


def domains_of(session: Session, app: str | None) -> list[dict[str, Any]]:
    asked = checked_app(app) if app is not None else None
    found: list[dict[str, Any]] = session.node.get("communication", "domains", app=asked)["domains"]
    return found


def _kind(cert: Path | None, key: Path | None, *, acme: bool, http_only: bool) -> str:
    """Raises `InvalidInput`."""
    asked = [name for name, given in (("given", cert or key), ("acme", acme), ("none", http_only)) if given]
    if len(asked) > 1:
        hint = "give one of --cert and --key, --acme, --http-only"
        raise InvalidInput("a domain has one kind of certificate", where="domains add", hint=hint)
    return asked[0] if asked else "own"


def _read(session: Session, path: Path | None, option: str) -> str | None:
    """Raises `InvalidInput`."""
    if path is None:
        return None
    try:
        return (session.cwd / path.expanduser()).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} can't be read: {error}", where=option, hint="name a file in PEM form") from error


def _settled(session: Session, domain: dict[str, Any]) -> dict[str, Any]:
    """When it is known whether it gets its certificate, or after a minute."""
    deadline = time.monotonic() + WAITS_S
    while domain["state"] == "waiting" and time.monotonic() < deadline:
        time.sleep(PAUSE_S)
        found = [d for d in domains_of(session, domain["app"]) if d["host"] == domain["host"]]
        if not found:
            raise NotFound(f"{domain['host']} was removed meanwhile", where=domain["host"])
        domain = found[0]
    return domain


def _row(domain: dict[str, Any]) -> tuple[Any, ...]:
    return (
        domain["url"],
        _target(domain),
        domain["certificate"],
        styled(domain["state"]),
        (domain["not_after"] or "")[:16].replace("T", " "),
        domain["problem"] or domain["warning"],
    )


def _target(domain: dict[str, Any]) -> str:
    """`shop/web:80`, or the name to which it redirects."""
    return domain["redirect_to"] or f"{domain['app']}/{domain['component']}:{domain['port']}"
