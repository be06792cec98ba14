"""A real gRPC server with the service grpc.health.v1."""

from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

SERVING, NOT_SERVING = 1, 2


class HealthServer:
    """`states` are by service, "" is the server as a whole. `asked` counts by service. `/shop.Api/Name` is answered
    with the server's address."""

    def __init__(self, address: str, port: int) -> None:
        self.states = {"": SERVING}
        self.asked: dict[str, int] = {}
        self._address = address
        self._request, self._response = _messages()
        self._server = grpc.aio.server()
        health = {"Check": grpc.unary_unary_rpc_method_handler(self._check, *self._read_and_write())}
        name = {"Name": grpc.unary_unary_rpc_method_handler(self._name)}
        handlers = (("grpc.health.v1.Health", health), ("shop.Api", name))
        self._server.add_generic_rpc_handlers(
            tuple(grpc.method_handlers_generic_handler(service, methods) for service, methods in handlers)
        )
        self._server.add_insecure_port(f"{address}:{port}")

    async def start(self) -> None:
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop(None)

    def _read_and_write(self) -> tuple[Any, Any]:
        return self._request.FromString, self._response.SerializeToString

    async def _check(self, request: Any, context: Any) -> Any:
        self.asked[request.service] = self.asked.get(request.service, 0) + 1
        if request.service not in self.states:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such service")
        return self._response(status=self.states[request.service])

    async def _name(self, _request: bytes, _context: Any) -> bytes:
        return self._address.encode()


def _messages() -> tuple[Any, Any]:
    """As https://github.com/grpc/grpc/blob/master/src/proto/grpc/health/v1/health.proto has them."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="health.proto", package="grpc.health.v1", syntax="proto3")
    asked = file.message_type.add(name="HealthCheckRequest")
    asked.field.add(name="service", number=1, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    answered = file.message_type.add(name="HealthCheckResponse")
    answered.field.add(name="status", number=1, type=field.TYPE_INT32, label=field.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    named = (pool.FindMessageTypeByName(f"grpc.health.v1.{name}") for name in (asked.name, answered.name))
    request, response = (message_factory.GetMessageClass(descriptor) for descriptor in named)
    return request, response
