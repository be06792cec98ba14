"""Changes of an application: each starts a run and, unless told otherwise, follows it to its end."""

from typing import Annotated, Any

import typer

from iarnet.cli.apps import checked_app, start_import
from iarnet.cli.arguments import (
    App,
    Components,
    Credential,
    Detach,
    Fetch,
    Name,
    OnFailure,
    Ref,
    Secret,
    Set,
    Subdir,
    Yes,
    confirm,
    counts,
    is_app,
    pairs,
)
from iarnet.cli.follow import follow
from iarnet.cli.session import Session, session_of
from iarnet.errors import InvalidInput


def deploy(
    ctx: typer.Context,
    app: Annotated[
        str, typer.Argument(metavar="APP|URL", help="an application, or a repository", show_default=False)
    ],
    settings: Set = None,
    secrets: Secret = None,
    components: Components = None,
    on_failure: OnFailure = "auto",
    fetch: Fetch = True,
    detach: Detach = False,
    name: Name = None,
    ref: Ref = "",
    credential: Credential = None,
    subdir: Subdir = "",
) -> None:
    """Make an application run: the newest commit, in the place that suits each component best.

    With the address of a repository it is imported first.
    """
    session = session_of(ctx)
    body = {
        "settings": pairs(settings, "--set"),
        "secrets": pairs(secrets, "--secret"),
        "components": components or [],
        "on_failure": on_failure,
        "fetch": fetch,
    }
    if not is_app(app):
        run = start_import(session, app, name=name, ref=ref, credential=credential, subdir=subdir)
        follow(session, run)
        app, body["fetch"] = run["app"], False
    elif ref or credential:
        follow(session, session.node.post("apps", app, "import", body={"ref": ref or None, "credential": credential}))
        body["fetch"] = False
    elif name or subdir:
        hint = "they belong to a repository: iarnet deploy URL --name NAME"
        raise InvalidInput("--name and --subdir can't change an application", where=app, hint=hint)
    change(session, app, "deploy", body, detach=detach)


def stop(ctx: typer.Context, app: App, detach: Detach = False) -> None:
    """Stop an application. Its data stays."""
    change(session_of(ctx), app, "stop", detach=detach)


def start(ctx: typer.Context, app: App, detach: Detach = False) -> None:
    """Start a stopped application as it was."""
    change(session_of(ctx), app, "start", detach=detach)


def retry(
    ctx: typer.Context, app: App, on_failure: OnFailure = "auto", fetch: Fetch = True, detach: Detach = False
) -> None:
    """Try a failed change again, with the newest commit: what is healthy stays, it resumes at what failed."""
    change(session_of(ctx), app, "retry", {"on_failure": on_failure, "fetch": fetch}, detach=detach)


def fork(
    ctx: typer.Context,
    app: App,
    settings: Set = None,
    secrets: Secret = None,
    on_failure: OnFailure = "hold",
    detach: Detach = False,
) -> None:
    """Try a failed change again with one input changed."""
    chosen, hidden = pairs(settings, "--set"), pairs(secrets, "--secret")
    if not chosen and not hidden:
        raise InvalidInput("nothing is changed", where="--set", hint="give what to change; or use `iarnet retry`")
    body = {"settings": chosen, "secrets": hidden, "on_failure": on_failure}
    change(session_of(ctx), app, "fork", body, detach=detach)


def rollback(
    ctx: typer.Context,
    app: App,
    revision: Annotated[int | None, typer.Option(help="the one to go to; else the last good one", min=1)] = None,
    on_failure: OnFailure = "auto",
    detach: Detach = False,
) -> None:
    """Go back to an earlier revision."""
    body = {"revision": revision, "on_failure": on_failure}
    change(session_of(ctx), app, "rollback", body, detach=detach)


def scale(
    ctx: typer.Context,
    app: App,
    replicas: Annotated[list[str], typer.Argument(metavar="COMPONENT=N...", show_default=False)],
    detach: Detach = False,
) -> None:
    """Set how many replicas components have."""
    change(session_of(ctx), app, "scale", {"replicas": counts(replicas)}, detach=detach)


def restart(
    ctx: typer.Context,
    app: App,
    component: Annotated[str | None, typer.Argument(metavar="[COMPONENT]", show_default=False)] = None,
) -> None:
    """Restart an application, or one component of it, in place."""
    session = session_of(ctx)
    run = session.node.post("apps", checked_app(app), "restart", body={"component": component})
    what = f"{app}/{component}" if component else app
    session.show.result(run, f"{what} is being restarted; `iarnet status {app}` shows it")


def delete(
    ctx: typer.Context,
    app: App,
    yes: Yes = False,
    delete_data: Annotated[bool, typer.Option("--delete-data", help="its volumes too; this can't be undone")] = False,
    detach: Detach = False,
) -> None:
    """Remove an application. Its volumes stay unless `--delete-data` is given."""
    session = session_of(ctx)
    confirm(session, f"Delete {app}{' and all its data' if delete_data else ''}?", yes=yes)
    run = session.node.delete("apps", checked_app(app), keep_data=not delete_data)
    _end(session, app, "delete", run, detach=detach)


def cancel(ctx: typer.Context, app: App) -> None:
    """Cancel the change that runs; what it did is undone."""
    session = session_of(ctx)
    run = session.node.post("apps", checked_app(app), "cancel")
    session.show.result(run, f"{run['workflow_id']} is being cancelled; `iarnet status {app}` shows what is left")


def change(session: Session, app: str, verb: str, body: Any = None, *, detach: bool) -> None:
    run = session.node.post("apps", checked_app(app), verb, body=body)
    _end(session, app, verb, run, detach=detach)


def _end(session: Session, app: str, verb: str, run: dict[str, Any], *, detach: bool) -> None:
    if detach:
        where = f" ({run['url']})" if run.get("url") else ""
        return session.show.result(run, f"{run['workflow_id']} is started{where}; follow it: iarnet events {app} -f")
    ended = follow(session, run)
    if session.show.json:
        return session.show.document(ended.document())
    result = ended.result or {}
    took = f" in {result['duration_s']:.1f} s" if result.get("duration_s") else ""
    session.show.text(f"{app}: {verb} {ended.progress['status']}{took}", style="green")
    for component, address in result.get("addresses", {}).items():
        session.show.text(f"  {component}  {address}")
    for note in result.get("notes", ()):
        session.show.text(f"note: {note}", style="yellow")
    return None
