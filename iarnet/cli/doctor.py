"""Is everything there that a node needs?"""

import typer

from iarnet.cli.check import Check, Machine
from iarnet.cli.exits import FAILED, OK
from iarnet.cli.session import Session, session_of
from iarnet.cli.show import styled
from iarnet.config import Loaded, load_settings
from iarnet.errors import InvalidConfig


def doctor(ctx: typer.Context) -> None:
    """Look at everything that a node needs, and say how to fix what is missing. Exit code 1 when something is."""
    # The checks know databases, engines and Temporal, which take a while to load.
    from iarnet.cli.checks import answers, run_checks

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
