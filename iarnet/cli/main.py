"""The program `iarnet`."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from iarnet.cli import (
    analyze,
    apps,
    authority,
    changes,
    doctor,
    domains,
    node,
    providers,
    reconcile,
    secrets,
    traffic,
    watching,
)
from iarnet.cli.exits import INTERRUPTED, exit_code
from iarnet.cli.session import Session
from iarnet.cli.show import Show
from iarnet.errors import IarnetError

EVERYWHERE = {"--json": 0, "--server": 1, "--token": 1, "--config": 1, "--data-dir": 1}
EPILOG = "Every command also takes --json, --server, --token, --config and --data-dir: see `iarnet --help`."


class Iarnet(TyperGroup):
    """Takes the options that all commands share in any place, and turns errors into words and exit codes."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, _hoisted(args))

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except IarnetError as error:
            _show_of(ctx).error(error)
            raise typer.Exit(exit_code(error)) from error
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            # Whoever read our output has seen enough; the interpreter must not complain while it closes.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            raise typer.Exit(0) from None


class Listing(TyperGroup):
    """Without the name of a command it is `ls`: `iarnet routes shop`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        named = args[:1] and (args[0] in self.commands or args[0] == "--help")
        return super().parse_args(ctx, args if named else ["ls", *args])


def main() -> None:
    app()


def _options(
    ctx: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON document, or one a line for streams")] = False,
    server: Annotated[
        str | None, typer.Option(help="address of the node; else IARNET_SERVER or the one here")
    ] = None,
    token: Annotated[str | None, typer.Option(help="its token; else IARNET_TOKEN or the one here")] = None,
    config: Annotated[
        Path | None, typer.Option(help="configuration file; else IARNET_CONFIG or ./config.yaml")
    ] = None,
    data_dir: Annotated[Path | None, typer.Option(help="data directory of the node")] = None,
) -> None:
    """A Git URL goes in, a running application comes out."""
    environ = dict(os.environ)
    ctx.obj = Session(
        show=Show(as_json=as_json, environ=environ),
        environ=environ,
        cwd=Path.cwd(),
        config=config,
        data_dir=data_dir.absolute() if data_dir else None,
        server=server,
        token=token,
    )


def _build() -> typer.Typer:
    made = typer.Typer(
        cls=Iarnet, callback=_options, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None
    )
    for start in (node.up, node.api, node.worker):
        made.command(epilog=EPILOG)(start)
    made.command("import", epilog=EPILOG)(apps.import_)
    made.command(epilog=EPILOG)(analyze.analyze)
    made.command(epilog=EPILOG)(apps.plan)
    made.command(epilog=EPILOG)(changes.deploy)
    made.command(epilog=EPILOG)(apps.status)
    made.command(epilog=EPILOG)(watching.logs)
    made.command(epilog=EPILOG)(watching.events)
    made.command(epilog=EPILOG)(changes.stop)
    made.command(epilog=EPILOG)(changes.start)
    made.command(epilog=EPILOG)(changes.restart)
    made.command(epilog=EPILOG)(changes.scale)
    made.command(epilog=EPILOG)(changes.delete)
    made.command(epilog=EPILOG)(changes.retry)
    made.command(epilog=EPILOG)(changes.fork)
    made.command(epilog=EPILOG)(changes.rollback)
    made.command(epilog=EPILOG)(changes.cancel)
    made.command(epilog=EPILOG)(node.replay)
    made.command(epilog=EPILOG)(apps.why)
    made.command(epilog=EPILOG)(traffic.endpoints)
    made.add_typer(
        _group(ls=traffic.ls, add=traffic.add, rm=traffic.rm),
        cls=Listing,
        name="routes",
        help="Which requests go where; without a command it lists them.",
        no_args_is_help=False,
    )
    made.add_typer(
        _group(ls=domains.ls, add=domains.add, rm=domains.rm),
        cls=Listing,
        name="domains",
        help="Names under which people reach applications; without a command it lists them.",
        no_args_is_help=False,
    )
    made.command(epilog=EPILOG)(authority.authority)
    made.add_typer(_group(ls=apps.ls), name="apps", help="Applications.")
    made.add_typer(
        _group(ls=providers.ls, add=providers.add, test=providers.test, rm=providers.rm),
        name="providers",
        help="Where things run.",
    )
    made.add_typer(
        _group(set=secrets.set_, ls=secrets.ls, rm=secrets.rm), name="secrets", help="Values that are stored sealed."
    )
    made.command(epilog=EPILOG)(reconcile.reconcile)
    made.command(epilog=EPILOG)(doctor.doctor)
    made.command(epilog=EPILOG)(node.config)
    made.command(epilog=EPILOG)(node.version)
    return made


def _group(**commands: Any) -> typer.Typer:
    made = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    for name, command in commands.items():
        made.command(name, epilog=EPILOG)(command)
    return made


def _hoisted(args: list[str]) -> list[str]:
    """`status shop --json` -> `--json status shop`; nothing after `--` is touched."""
    front, rest = [], []
    left = list(args)
    while left:
        arg = left.pop(0)
        if arg == "--":
            rest += [arg, *left]
            break
        name, equals, _ = arg.partition("=")
        if name not in EVERYWHERE:
            rest.append(arg)
            continue
        front.append(arg)
        if EVERYWHERE[name] and not equals and left:
            front.append(left.pop(0))
    return front + rest


def _show_of(ctx: Any) -> Show:
    return ctx.obj.show if isinstance(ctx.obj, Session) else Show(as_json=False, environ={})


app = _build()
