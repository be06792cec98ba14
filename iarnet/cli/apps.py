"""Applications: import, list, plan, look at."""

from typing import Annotated, Any

import typer
from rich.text import Text

from iarnet.cli.arguments import (
    App,
    Component,
    Components,
    Credential,
    Fetch,
    Name,
    Ref,
    Secret,
    Set,
    Subdir,
    is_app,
    pairs,
    repository,
)
from iarnet.cli.follow import follow
from iarnet.cli.session import Session, session_of
from iarnet.cli.show import printable, styled
from iarnet.errors import InvalidInput

TRAFFIC = ("requests", "failed", "time", "95 % within")

Revisions = Annotated[bool, typer.Option("--revisions", help="its revisions instead")]
Deployments = Annotated[bool, typer.Option("--deployments", help="its deployments instead")]


def import_(
    ctx: typer.Context,
    url: Annotated[str, typer.Argument(metavar="URL", help="address of the Git repository", show_default=False)],
    name: Name = None,
    ref: Ref = "",
    credential: Credential = None,
    subdir: Subdir = "",
) -> None:
    """Bring an application in from a Git repository, without deploying it."""
    session = session_of(ctx)
    run = start_import(session, url, name=name, ref=ref, credential=credential, subdir=subdir)
    ended = follow(session, run)
    commit = (ended.result or {}).get("commit", "")
    text = f"{run['app']} is imported at {commit[:12]}; deploy it with `iarnet deploy {run['app']}`"
    session.show.result(ended.document(), text)


def start_import(
    session: Session, url: str, *, name: str | None, ref: str, credential: str | None, subdir: str
) -> dict[str, Any]:
    """The answer of the node: the app's name, and the import that runs."""
    body = {
        "url": repository(url, session.cwd),
        "name": name,
        "ref": ref,
        "credential": credential,
        "subdir": subdir,
    }
    started: dict[str, Any] = session.node.post("apps", body=body)
    return started


def ls(ctx: typer.Context) -> None:
    """All applications."""
    session = session_of(ctx)
    found = session.node.get("apps")
    if session.show.json:
        return session.show.document(found)
    rows = [
        (a["name"], styled(a["status"]), f"r{a['revision']}", _addresses(a), a["git"]["url"]) for a in found["apps"]
    ]
    if not rows:
        return session.show.text("no applications yet: `iarnet deploy URL`")
    return session.show.table(("app", "status", "revision", "address", "repository"), rows)


def status(ctx: typer.Context, app: App, revisions: Revisions = False, deployments: Deployments = False) -> None:
    """What an application is doing, component by component."""
    session = session_of(ctx)
    if revisions:
        return _revisions(session, app)
    if deployments:
        return _deployments(session, app)
    found = session.node.get("apps", app)
    domains = session.node.get("communication", "domains", app=app)["domains"]
    if session.show.json:
        return session.show.document(found | {"domains": domains})
    session.show.out.print(
        Text.assemble((found["name"], "bold"), "  ", styled(found["status"]), f"  r{found['revision']}  ")
        + Text(printable(f"{found['git']['url']} {(found['commit'] or '')[:12]}"), style="dim")
    )
    busy = any(_is_asked(c) for c in found["components"])
    rows = [
        (
            c["name"],
            c["kind"],
            styled(c["state"]),
            _running(c),
            c["provider_id"],
            ", ".join(c["addresses"]),
            *(_traffic(c) if busy else ()),
            c["detail"],
        )
        for c in found["components"]
    ]
    if rows:
        columns = ("component", "kind", "state", "replicas", "provider", "address", *(TRAFFIC if busy else ()), "")
        session.show.table(columns, rows)
    for domain in domains:
        target = domain["redirect_to"] or domain["component"]
        why = domain["problem"] or domain["warning"]
        session.show.out.print(
            Text.assemble(
                f"{domain['url']} -> {target}  ", styled(domain["state"]), f"  {printable(why)}" if why else ""
            )
        )
    for warning in found["warnings"]:
        session.show.text(f"{warning['severity']}: {warning['message']}{_place(warning)}", style="yellow")
    failure = (found["deployment"] or {}).get("failure")
    if failure:
        who = f"{failure['component']}: " if failure["component"] else ""
        session.show.text(f"last change failed: {who}{failure['message']}  [{failure['code']}]", style="red")
        for line in failure["log"]:
            session.show.text(f"  | {line}", style="dim")
        session.show.text(f"  hint: {failure['hint'] or f'`iarnet retry {app}` when it is fixed'}")
    for left in ((found["deployment"] or {}).get("progress") or {}).get("not_undone", ()):
        session.show.text(f"not undone: {left}", style="yellow")
    return None


def plan(
    ctx: typer.Context,
    app: App,
    settings: Set = None,
    secrets: Secret = None,
    components: Components = None,
    fetch: Fetch = True,
) -> None:
    """What a deployment would change, before it does."""
    session = session_of(ctx)
    body = {
        "settings": pairs(settings, "--set"),
        "secrets": pairs(secrets, "--secret"),
        "components": components or [],
        "fetch": fetch,
    }
    found = session.node.post("apps", app, "plan", body=body)
    if session.show.json:
        return session.show.document(found)
    session.show.text(f"{app}: r{found['previous_revision']} -> r{found['revision']} ({found['cause']})")
    rows = [
        (
            o["kind"],
            o["component"],
            o["provider_id"],
            o["instance"] or (o["build"] or {}).get("image", ""),
            o["reason"],
        )
        for o in found["operations"]
    ]
    rows += [("keep", k["component"], k["provider_id"], k["instance"], k["reason"]) for k in found["kept"]]
    if rows:
        session.show.table(("operation", "component", "provider", "what", "because"), rows)
    if not found["operations"]:
        session.show.text("nothing to do: everything is as it should be")
    for note in found["notes"]:
        session.show.text(f"note: {note}", style="yellow")
    for lasting in found["lasting"]:
        session.show.text(f"a roll-back would leave {lasting['what']}", style="yellow")
    return None


def why(ctx: typer.Context, app: App, component: Component) -> None:
    """Why a component is where it is, and why every other place lost."""
    session = session_of(ctx)
    found = session.node.get("apps", app, "components", component, "why")
    if session.show.json:
        return session.show.document(found)
    chosen = found["assignment"]
    session.show.text(f"{component} is on {chosen['provider_id']}: {chosen['reason']}  ({found['deployment_id']})")
    scores = [
        (s["provider_id"], f"{s['total']:.3f}", ", ".join(f"{k} {v:.3f}" for k, v in s["parts"].items()))
        for s in sorted(chosen["scores"], key=lambda s: -s["total"])
    ]
    if scores:
        session.show.table(("provider", "score", "made of"), scores)
    refused = [(r["provider_id"], r["filter"], r["reason"]) for r in chosen["rejections"]]
    if refused:
        session.show.table(("refused", "by", "because"), refused)
    return None


def checked_app(text: str) -> str:
    """Raises `InvalidInput` for what can't be an application's name."""
    if is_app(text):
        return text
    raise InvalidInput(
        f"`{text}` can't be the name of an application", where="APP", hint="`iarnet apps ls` lists them"
    )


def _revisions(session: Session, app: str) -> None:
    found = session.node.get("apps", app, "revisions")
    if session.show.json:
        return session.show.document(found)
    rows = [
        (f"r{r['number']}", r["commit"][:12], r["created_at"], ", ".join(c["name"] for c in r["components"]))
        for r in found["revisions"]
    ]
    return session.show.table(("revision", "commit", "made", "components"), rows)


def _deployments(session: Session, app: str) -> None:
    found = session.node.get("apps", app, "deployments")
    if session.show.json:
        return session.show.document(found)
    rows = [
        (
            d["id"],
            d["cause"],
            styled(d["status"]),
            f"r{d['revision']}",
            d["started_at"],
            (d["failure"] or {}).get("message", ""),
        )
        for d in found["deployments"]
    ]
    return session.show.table(("deployment", "cause", "status", "revision", "started", ""), rows)


def _running(component: dict[str, Any]) -> str:
    running = sum(i["state"] == "running" for i in component["instances"])
    return f"{running}/{component['replicas']}"


def _is_asked(component: dict[str, Any]) -> bool:
    return bool(component["traffic"] and component["traffic"]["requests_per_s"])


def _traffic(component: dict[str, Any]) -> tuple[str, ...]:
    """`12.5/s`, `0.1%`, `8 ms`, `20 ms`: in the last minute."""
    if not _is_asked(component):
        return ("",) * len(TRAFFIC)
    seen = component["traffic"]
    return (f"{seen['requests_per_s']:.3g}/s", f"{seen['error_share']:.1%}", _ms(seen["mean_s"]), _ms(seen["p95_s"]))


def _ms(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1000:.0f} ms" if seconds >= 0.01 else f"{seconds * 1000:.1f} ms"


def _addresses(app: dict[str, Any]) -> str:
    return ", ".join(app["addresses"].values())


def _place(warning: dict[str, Any]) -> str:
    if not warning.get("file"):
        return ""
    return f" ({warning['file']}" + (f":{warning['line']})" if warning.get("line") else ")")
