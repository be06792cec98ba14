"""A line for each request that failed, and for a share of the others, as JSON in a file that stays short.

Fields: https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/observability/access_log/usage
"""

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import structlog
from envoy.config.accesslog.v3.accesslog_pb2 import AccessLog
from envoy.extensions.access_loggers.file.v3.file_pb2 import FileAccessLog

from iarnet.errors import GatewayUnavailable
from iarnet.gateway.admin import Admin
from iarnet.gateway.packing import packed

Kind = Literal["http", "grpc", "tcp"]

_SHARE = "gateway.access_log"
_MILLION = 1_000_000

NAMED_APP = "%METADATA(VIRTUAL_HOST:iarnet:app)%"
NAMED = "%METADATA(VIRTUAL_HOST:iarnet:component)%"
"""The component that a request is for, where its virtual host has the metadata `named`."""

_BYTES = 16 << 20
_OLD_FILES = 3
_LOOK_S = 1.0

# No query: it may hold secrets.
_HTTP = {
    "route": "%ROUTE_NAME%",
    "method": "%REQ(:METHOD)%",
    "path": "%PATH(NQ)%",
    "status": "%RESPONSE_CODE%",
    "request_id": "%REQ(X-REQUEST-ID)%",
}
_GRPC = {**_HTTP, "grpc_status": "%GRPC_STATUS(CAMEL_STRING)%"}
_ALL = {
    "flags": "%RESPONSE_FLAGS%",
    "ms": "%DURATION%",
    "received_bytes": "%BYTES_RECEIVED%",
    "sent_bytes": "%BYTES_SENT%",
    "instance": "%UPSTREAM_HOST_NAME%",
    "upstream": "%UPSTREAM_HOST%",
}
_SAMPLED = {"runtime_filter": {"runtime_key": _SHARE, "percent_sampled": {"numerator": 0, "denominator": "MILLION"}}}
_UNREACHED = {"response_flag_filter": {"flags": ["UF", "UH", "UO", "UT", "NC", "NR", "URX"]}}
_SERVER_ERROR = {
    # Envoy wants a key, by which the default could be changed.
    "status_code_filter": {"comparison": {"op": "GE", "value": {"default_value": 500, "runtime_key": "unused"}}}
}
# Without its type, what is no call would be taken for one that failed.
_CALL = {"header_filter": {"header": {"name": "content-type", "string_match": {"prefix": "application/grpc"}}}}
_ERROR_STATUS = {
    "grpc_status_filter": {
        "statuses": ["UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"]
    }
}
_CALL_ERROR = {"and_filter": {"filters": [_CALL, _ERROR_STATUS]}}

_FIELDS: dict[Kind, dict[str, str]] = {"http": _HTTP, "grpc": _GRPC, "tcp": {}}
_FAILED: dict[Kind, list[Any]] = {"http": [_SERVER_ERROR], "grpc": [_SERVER_ERROR, _CALL_ERROR], "tcp": []}

log = structlog.get_logger()


def named(component: str, app: str = "") -> dict[str, Any]:
    """The metadata of a virtual host, for a listener that has several, of several apps where `app` is given."""
    fields = {"component": component, "app": app}
    return {"filter_metadata": {"iarnet": {"fields": {k: {"string_value": v} for k, v in fields.items() if v}}}}


def access_log(path: Path, app: str, component: str, kind: Kind) -> list[Any]:
    """For a listener of the app. `component` may be `NAMED`. For TCP, a line is a connection."""
    line = {"time": "%START_TIME%", "app": app, "component": component, **_FIELDS[kind], **_ALL}
    file = FileAccessLog(path=str(path), log_format={"json_format": line})
    chosen = {"or_filter": {"filters": [*_FAILED[kind], _UNREACHED, _SAMPLED]}}
    return [AccessLog(name="envoy.access_loggers.file", filter=chosen, typed_config=packed(file))]


def share(value: float) -> dict[str, int]:
    """The runtime value that says how many are sampled, 0 to 1. A change of it touches no listener."""
    return {_SHARE: round(value * _MILLION)}


async def set_share(admin: Admin, value: float) -> None:
    """Until Envoy ends. Raises `GatewayUnavailable`."""
    await admin.set_runtime(share(value))


async def keep_short(path: Path, admin: Admin) -> None:
    """`access.log` becomes `access.log.1` when it is long, that one `access.log.2`, and the oldest goes.

    Until cancelled, whatever the machine refuses; each problem is told once.
    """
    problem = ""
    while True:
        await asyncio.sleep(_LOOK_S)
        try:
            if path.exists() and path.stat().st_size > _BYTES:
                await asyncio.to_thread(_turn, path)
            if not path.exists():
                await admin.reopen_logs()
            problem = ""
        except GatewayUnavailable:
            continue  # it opens them when it starts
        except OSError as error:
            if str(error) != problem:
                log.warning("the access log can't be kept short", problem=str(error))
            problem = str(error)


def _turn(path: Path) -> None:
    files = [path, *(path.with_name(f"{path.name}.{n}") for n in range(1, _OLD_FILES + 1))]
    for newer, older in reversed(list(pairwise(files))):
        if newer.exists():
            newer.replace(older)
