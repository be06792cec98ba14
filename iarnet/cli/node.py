"""The node itself: start it, look at its configuration and its machine."""

import json
from importlib.metadata import version as installed_version
from typing import Annotated, Any

import typer

from iarnet.cli.arguments import pairs
from iarnet.cli.checks import Check, Machine, answers, run_checks
from iarnet.cli.exits import FAILED, OK
from iarnet.cli.session import Session, session_of
from iarnet.cli.show import styled
from iarnet.config import Loaded, keys, load_settings, value_of
from iarnet.config_layers import masked
from iarnet.errors import InvalidConfig

Mode = Annotated[str | None, typer.Option(help="standalone or k8s; else it is found out")]
Listen = Annotated[str | None, typer.Option(help="address of the API, such as :8083")]
PeerListen = Annotated[str | None, typer.Option(help="address for peers, such as :50051")]
Peers = Annotated[str | None, typer.Option(help="peers to try first, separated by commas")]
Options = Annotated[
    list[str] | None,
    typer.Option("--option", "-o", metavar="KEY=VALUE", help="any key of docs/configuration.md; repeatable"),
]


def up(
    ctx: typer.Context,
    mode: Mode = None,
    listen_addr: Listen = None,
    peer_listen_addr: PeerListen = None,
    initial_peers: Peers = None,
    option: Options = None,
) -> None:
    """Start a node here, with all that it needs. Ctrl-C or SIGTERM ends it; what is deployed goes on."""
    loaded = session_of(ctx).load(_flags(mode, listen_addr, peer_listen_addr, initial_peers, option))
    from workers.node import main as run_node

    raise typer.Exit(run_node(loaded) or OK)


def config(
    ctx: typer.Context,
    mode: Mode = None,
    listen_addr: Listen = None,
    peer_listen_addr: PeerListen = None,
    initial_peers: Peers = None,
    option: Options = None,
) -> None:
    """Every setting that `iarnet up` would use with these flags, and where it comes from. Passwords are masked."""
    session = session_of(ctx)
    loaded = session.load(_flags(mode, listen_addr, peer_listen_addr, initial_peers, option))
    rows = _rows(loaded)
    if session.show.json:
        return session.show.document(
            {key: {"value": value, "origin": str(o), "source": o.source} for key, value, o in rows}
        )
    shown = [(key, value if isinstance(value, str) else json.dumps(value), str(o)) for key, value, o in rows]
    return session.show.table(("key", "value", "from"), shown)


def version(ctx: typer.Context) -> None:
    """The version of this program."""
    session = session_of(ctx)
    number = installed_version("iarnet")
    session.show.result({"version": number}, f"iarnet {number}")


def replay(
    ctx: typer.Context,
    workflow_id: Annotated[str, typer.Argument(metavar="WORKFLOW_ID", help="change.shop", show_default=False)],
    run_id: Annotated[str | None, typer.Option("--run-id", help="an older run; else the newest")] = None,
) -> None:
    """Replay a recorded run against today's code. Exit code 1 when it would decide otherwise."""
    session = session_of(ctx)
    report = session.node.post("replay", body={"workflow_id": workflow_id, "run_id": run_id})
    name = f"{report['workflow_id']} ({report['run_id']})"
    same = report["same"]
    says = f"{name}: today's code decides the same" if same else f"{name} differs:\n{report['difference']}"
    session.show.result(report, says)
    raise typer.Exit(OK if same else FAILED)


def doctor(ctx: typer.Context) -> None:
    """Look at everything that a node needs, and say how to fix what is missing. Exit code 1 when something is."""
    session = session_of(ctx)
    loaded, broken = _loaded(session)
    settings = loaded.settings
    machine = Machine(settings, session.environ, running=answers(_base_url(loaded)))
    found = [broken] if broken else [Check(name="configuration", state="ok", says=_source(loaded))]
    found += run_checks(machine)
    failed = [check for check in found if check.state == "fail"]
    if session.show.json:
        session.show.document({"ok": not failed, "checks": found})
    else:
        session.show.table(("", "check", ""), [(styled(c.state), c.name, _told(c)) for c in found])
    raise typer.Exit(FAILED if failed else OK)


def _flags(
    mode: str | None, listen: str | None, peer_listen: str | None, peers: str | None, options: list[str] | None
) -> dict[str, Any]:
    named = {"mode": mode, "listen_addr": listen, "peer_listen_addr": peer_listen, "initial_peers": peers}
    return {**pairs(options, "--option"), **{key: value for key, value in named.items() if value is not None}}


def _rows(loaded: Loaded) -> list[tuple[str, Any, Any]]:
    return [(key, masked(value_of(loaded.settings, key)), loaded.origins[key]) for key in keys()]


def _loaded(session: Session) -> tuple[Loaded, Check | None]:
    """With a broken configuration, what can be looked at without it."""
    try:
        return session.load(), None
    except InvalidConfig as error:
        says = f"{error.message} ({error.where})" if error.where not in error.message else error.message
        home = {key: value for key, value in session.environ.items() if not key.startswith("IARNET_")}
        bare = load_settings(None, home, {}, cwd=session.cwd / "nowhere")
        return bare, Check(name="configuration", state="fail", says=says, fix=error.hint)


def _source(loaded: Loaded) -> str:
    files = {o.name for o in loaded.origins.values() if o.source == "file"}
    return f"read from {', '.join(sorted(files))}" if files else "no file: defaults"


def _base_url(loaded: Loaded) -> str:
    address = loaded.settings.api_address
    local = address._replace(host="127.0.0.1") if address.host == "0.0.0.0" else address
    return f"{'https' if loaded.settings.tls.enabled else 'http'}://{local}"


def _told(check: Check) -> str:
    return f"{check.says}\n-> {check.fix}" if check.fix else check.says
