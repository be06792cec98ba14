"""The node itself: start it, look at its configuration and its machine."""

import gc
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version as installed_version
from typing import TYPE_CHECKING, Annotated, Any

import typer

from iarnet.cli.arguments import pairs
from iarnet.cli.exits import FAILED, OK
from iarnet.cli.session import Session, session_of
from iarnet.config import Loaded, keys, value_of
from iarnet.config_layers import masked

if TYPE_CHECKING:
    from workers.roles import Role

Mode = Annotated[str | None, typer.Option(help="standalone or k8s; else it is found out")]
Listen = Annotated[str | None, typer.Option(help="address of the API, such as :8083")]
PeerListen = Annotated[str | None, typer.Option(help="address of gRPC, such as :50051; none: nowhere")]
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
    _run(session_of(ctx), "node", _flags(mode, listen_addr, peer_listen_addr, initial_peers, option))


def api(ctx: typer.Context, listen_addr: Listen = None, option: Options = None) -> None:
    """Start an API alone, beside workers that share its Temporal and its database. Any number, on any hosts."""
    _run(session_of(ctx), "api", _flags(listen=listen_addr, options=option))


def worker(ctx: typer.Context, mode: Mode = None, option: Options = None) -> None:
    """Start a node without an API, beside others that share its Temporal and its database. Any number of them."""
    _run(session_of(ctx), "worker", _flags(mode, options=option))


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


def _run(session: Session, role: "Role", flags: dict[str, Any]) -> None:
    loaded = session.load(flags)
    with _no_collection(), _without("grpc"):
        from workers.node import main as run_node

    run_node(loaded, session.environ, role)


@contextmanager
def _without(*modules: str) -> Iterator[None]:
    """As if they were not installed: Temporal's library imports them for ways that we don't go."""
    absent: dict[str, Any] = {name: None for name in modules if name not in sys.modules}
    sys.modules.update(absent)
    yield
    for name in absent:
        del sys.modules[name]


@contextmanager
def _no_collection() -> Iterator[None]:
    """What an import makes stays for good: looking for garbage meanwhile finds none and was a tenth of the time."""
    gc.disable()
    yield
    gc.freeze()
    gc.enable()


def _flags(
    mode: str | None = None,
    listen: str | None = None,
    peer_listen: str | None = None,
    peers: str | None = None,
    options: list[str] | None = None,
) -> dict[str, Any]:
    named = {"mode": mode, "listen_addr": listen, "peer_listen_addr": peer_listen, "initial_peers": peers}
    return {**pairs(options, "--option"), **{key: value for key, value in named.items() if value is not None}}


def _rows(loaded: Loaded) -> list[tuple[str, Any, Any]]:
    return [(key, masked(value_of(loaded.settings, key)), loaded.origins[key]) for key in keys()]
