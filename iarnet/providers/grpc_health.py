"""Asking a server by the protocol grpc.health.v1. A module of its own, because gRPC is slow to import.

Messages: https://github.com/grpc/grpc/blob/master/doc/health-checking.md. They are so small that they are written and
read by hand.
"""

import grpc

from iarnet.models.component import HealthCheck
from iarnet.models.instance import ProbeResult

_CHECK = "/grpc.health.v1.Health/Check"
_STATES = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}


async def probe_grpc(check: HealthCheck, host: str, port: int) -> ProbeResult:
    """Never raises for what the other side does."""
    at = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    what = f"grpc {at}" + (f" {check.service}" if check.service else "")
    # Each on its own connection, as any new client would make it, and none through a proxy of this machine's.
    options = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0))
    async with grpc.aio.insecure_channel(at, options=options) as channel:
        ask = channel.unary_unary(_CHECK)
        try:
            state = _state(await ask(_request(check.service or ""), timeout=check.timeout_s))
        except grpc.aio.AioRpcError as error:
            return ProbeResult(ready=False, detail=f"{what}: {error.code().name} {error.details() or ''}".rstrip())
    return ProbeResult(ready=state == "SERVING", detail=f"{what}: {state}")


def _request(service: str) -> bytes:
    """Field 1, a string of less than 256 bytes."""
    name = service.encode()
    length = bytes([len(name)]) if len(name) < 128 else bytes([len(name) & 127 | 128, len(name) >> 7])
    return b"\x0a" + length + name if name else b""


def _state(answer: bytes) -> str:
    """Field 1, a number; left out when it is 0."""
    number = answer[1] if answer[:1] == b"\x08" and len(answer) > 1 else 0
    return _STATES.get(number, str(number))
