"""Where things run."""

from pathlib import Path
from typing import Annotated, Any

import typer

from iarnet.cli.arguments import Yes, confirm, pairs
from iarnet.cli.exits import FAILED
from iarnet.cli.session import session_of
from iarnet.cli.show import styled
from iarnet.errors import InvalidInput
from iarnet.models.quantity import format_millis, format_size

Id = Annotated[str, typer.Argument(metavar="ID", help="name of the provider", show_default=False)]


def ls(ctx: typer.Context) -> None:
    """All providers, and what room they have."""
    session = session_of(ctx)
    found = session.node.get("providers")
    if session.show.json:
        return session.show.document(found)
    rows = [_row(state) for state in found["providers"]]
    seen = {state["info"]["id"] for state in found["providers"]}
    rows += [
        (r["id"], r["type"], "not seen yet", r["url"], "", "", "")
        for r in found["registrations"]
        if r["id"] not in seen
    ]
    columns = ("provider", "type", "status", "host", "cores free", "memory free", "problem")
    return session.show.table(columns, rows)


def add(
    ctx: typer.Context,
    provider: Id,
    url: Annotated[str, typer.Argument(metavar="URL", help="tcp://host:2376 or ssh://user@host", show_default=False)],
    kind: Annotated[str, typer.Option("--type", help="what runs there")] = "docker",
    title: Annotated[str, typer.Option("--title", help="how people call it; else its ID")] = "",
    config: Annotated[
        list[str] | None,
        typer.Option("--config-value", metavar="KEY=VALUE|KEY=@FILE", help="ca_cert=@ca.pem; repeatable"),
    ] = None,
    secrets: Annotated[
        list[str] | None,
        typer.Option("--secret", metavar="KEY=NAME", help="client_key=name of a stored secret; repeatable"),
    ] = None,
    labels: Annotated[list[str] | None, typer.Option("--label", metavar="KEY=VALUE", help="repeatable")] = None,
) -> None:
    """Connect a provider."""
    session = session_of(ctx)
    values = {key: _content(value, session.cwd) for key, value in pairs(config, "--config-value").items()}
    body = {
        "id": provider,
        "name": title or provider,
        "type": kind,
        "url": url,
        "config": values,
        "secrets": pairs(secrets, "--secret"),
        "labels": pairs(labels, "--label"),
    }
    found = session.node.post("providers", body=body)
    session.show.result(found, f"{provider} is connected: {_said(found['health'])}")


def test(ctx: typer.Context, provider: Id) -> None:
    """Ask a provider whether it is well. Exit code 1 when it is not."""
    session = session_of(ctx)
    health = session.node.post("providers", provider, "test")
    session.show.result(health, f"{provider}: {_said(health)}")
    if not health["reachable"]:
        raise typer.Exit(FAILED)


def rm(ctx: typer.Context, provider: Id, yes: Yes = False) -> None:
    """Disconnect a provider."""
    session = session_of(ctx)
    confirm(session, f"Disconnect {provider}?", yes=yes)
    session.node.delete("providers", provider)
    session.show.result({"id": provider, "removed": True}, f"{provider} is disconnected")


def _row(state: dict[str, Any]) -> tuple[Any, ...]:
    info, free = state["info"], state["capacity"]["available"]
    host = f"{info['host']}:{info['port']}" if info["port"] else info["host"]
    room = (format_millis(free["cpu_millis"]), format_size(free["memory_bytes"]))
    return (info["id"], info["type"], styled(state["status"]), host, *room, state["health"]["problem"])


def _said(health: dict[str, Any]) -> str:
    if health["reachable"]:
        return f"it answers in {health['latency_s'] * 1000:.0f} ms, version {health['version']}"
    return f"it does not answer: {health['problem']}" + (f"\n  hint: {health['hint']}" if health["hint"] else "")


def _content(value: str, cwd: Path) -> str:
    if not value.startswith("@"):
        return value
    try:
        return (cwd / value[1:]).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"can't be read: {error}", where=value[1:], hint="name a text file after the @") from error
