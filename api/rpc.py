"""gRPC of a node: who may call, and how it refuses. Health and reflection are gRPC's own services."""

import hmac
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as Packed
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health, health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckResponse
from grpc_reflection.v1alpha import reflection

from api.errors import understood
from iarnet.errors import IarnetError, Unauthorized

# As `/api/health`: whoever balances load has no token.
OPEN = f"/{health.SERVICE_NAME}/Check"
_STATUS = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    409: grpc.StatusCode.FAILED_PRECONDITION,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    422: grpc.StatusCode.FAILED_PRECONDITION,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    502: grpc.StatusCode.UNAVAILABLE,
    503: grpc.StatusCode.UNAVAILABLE,
}
# Two nodes on one port would each get some of the calls.
_OPTIONS = (("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", 64 * 1024))
_AT_ONCE = 32
# What goes with a refusal travels as headers, which clients take 8 KiB of.
_LONGEST = 1000

Method = Callable[[Any], Awaitable[Any]]
Continuation = Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler | None]]


async def server(token: str, services: dict[str, grpc.GenericRpcHandler]) -> grpc.aio.Server:
    """Neither started nor listening. `services`: each under its full name."""
    made = grpc.aio.server(interceptors=[_Gate(token)], options=_OPTIONS, maximum_concurrent_rpcs=_AT_ONCE)
    made.add_generic_rpc_handlers(tuple(services.values()))
    well = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(well, made)
    for name in services:
        await well.set(name, HealthCheckResponse.SERVING)
    reflection.enable_server_reflection([*services, health.SERVICE_NAME, reflection.SERVICE_NAME], made)
    return made


def service(name: str, methods: dict[str, tuple[Method, type[Any], type[Any]]]) -> grpc.GenericRpcHandler:
    """`methods`: what answers one request with one response, and the messages of both."""
    handlers = {
        each: grpc.unary_unary_rpc_method_handler(_answering(method), taken.FromString, given.SerializeToString)
        for each, (method, taken, given) in methods.items()
    }
    return grpc.method_handlers_generic_handler(name, handlers)


class _Gate(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    def __init__(self, token: str) -> None:
        self._token = token.encode()

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler | None:
        if handler_call_details.method == OPEN or self._knows(handler_call_details.invocation_metadata):
            return await continuation(handler_call_details)
        # Whatever was called: this kind need not wait for what a client sends.
        return grpc.stream_stream_rpc_method_handler(_unauthorized)

    def _knows(self, metadata: Sequence[tuple[str, str | bytes]]) -> bool:
        given = next((str(value) for key, value in metadata if key == "authorization"), "")
        scheme, _, token = given.partition(" ")
        return scheme.lower() == "bearer" and bool(token) and hmac.compare_digest(token.encode(), self._token)


async def _unauthorized(_: object, context: grpc.aio.ServicerContext) -> None:
    hint = "send the metadata `authorization: Bearer TOKEN`; the token is in the file `token` of the data directory"
    await _refuse(context, Unauthorized("no valid token", where="authorization", hint=hint))


def _answering(method: Method) -> Callable[[Any, grpc.aio.ServicerContext], Awaitable[Any]]:
    async def answer(request: Any, context: grpc.aio.ServicerContext) -> Any:
        try:
            return await method(request)
        except Exception as error:
            # Ours as it is; anything else becomes an incident with a number, and its story is in the log.
            return await _refuse(context, understood(error))

    return answer


async def _refuse(context: grpc.aio.ServicerContext, error: IarnetError) -> None:
    """With our code as an `ErrorInfo` in a `google.rpc.Status`, where clients of gRPC look for such things."""
    status = _STATUS.get(error.status, grpc.StatusCode.INTERNAL)
    metadata = {"where": error.where[:_LONGEST], "hint": error.hint[:_LONGEST]}
    packed = Packed()
    packed.Pack(ErrorInfo(reason=error.code, domain="iarnet", metadata=metadata))
    message = error.message[:_LONGEST]
    details = Status(code=status.value[0], message=message, details=[packed])
    await context.abort(status, message, (("grpc-status-details-bin", details.SerializeToString()),))
