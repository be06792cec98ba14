"""What is there against what is known."""

from typing import Annotated, Any

import typer
from rich.text import Text

from iarnet.cli.arguments import Yes, confirm
from iarnet.cli.exits import FAILED
from iarnet.cli.session import Session, session_of
from iarnet.cli.show import styled

_COLUMNS = ("provider", "what", "name", "application", "action", "", "why")


def reconcile(
    ctx: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would be done")] = False,
    provider: Annotated[str, typer.Option(metavar="ID", help="only this provider")] = "",
    remove_volumes: Annotated[
        bool, typer.Option("--remove-volumes", help="also the data of applications that are gone")
    ] = False,
    yes: Yes = False,
) -> None:
    """Compare providers with what is recorded, and put right what differs."""
    session = session_of(ctx)
    if dry_run:
        asked = {"provider": provider or None, "remove_volumes": remove_volumes or None}
        found = session.node.get("reconciliation", **asked)
    else:
        if remove_volumes:
            confirm(session, "Remove the data of applications that are gone?", yes=yes)
        body = {"provider_id": provider, "remove_volumes": remove_volumes}
        found = session.node.post("reconciliation", body=body)
    _show(session, found["providers"])
    outcomes = {finding["outcome"] for report in found["providers"] for finding in report["findings"]}
    if "failed" in outcomes or any(report["problem"] for report in found["providers"]):
        raise typer.Exit(FAILED)


def _show(session: Session, reports: list[dict[str, Any]]) -> None:
    if session.show.json:
        return session.show.document({"providers": reports})
    if rows := [_row(report["provider_id"], finding) for report in reports for finding in report["findings"]]:
        session.show.table(_COLUMNS, rows)
    for report in reports:
        if report["problem"]:
            session.show.note(f"{report['provider_id']} could not be compared: {report['problem']}", style="yellow")
        elif not report["findings"]:
            session.show.text(f"{report['provider_id']}: all is as it should be")
    return None


def _row(provider: str, finding: dict[str, Any]) -> tuple[str | Text, ...]:
    why = finding["problem"] or finding["reason"]
    what = (finding["kind"], finding["name"], finding["app"], finding["action"])
    return (provider, *what, styled(finding["outcome"]), why)
