"""Answering gRPC inside the node's process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING

import structlog

from iarnet.analysers.projects import Projects
from iarnet.config import Settings
from iarnet.config_sections import Address, Tls
from iarnet.errors import InvalidConfig
from workers.analysing import analyze

if TYPE_CHECKING:
    import grpc

# A port that something else holds may be free again by then.
_AGAIN_S = 1.0
log = structlog.get_logger()


@asynccontextmanager
async def answering(settings: Settings, projects: Projects, token: str) -> AsyncIterator[None]:
    """Begins with the block, and is there some time later: nothing that the node does waits for it. A port that is
    taken is tried again until it is free."""
    if settings.peer_address is None:
        yield
        return
    files = _files(settings.grpc_tls)
    task = asyncio.create_task(_answer(settings, settings.peer_address, files, projects, token))
    task.add_done_callback(_tell)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _answer(
    settings: Settings, address: Address, files: tuple[bytes, bytes] | None, projects: Projects, token: str
) -> None:
    # Imported in a thread, once the node is up: it has work to go on with.
    await asyncio.to_thread(import_module, "api.analysing")
    server = await _server(projects, token)
    port = await _listening(server, address, files)
    await server.start()
    host = "localhost" if address.host in ("0.0.0.0", "::") else address.host
    settings.grpc_address_file.write_text(str(Address(host, port)))
    log.info("gRPC answers", address=str(Address(host, port)))
    try:
        await server.wait_for_termination()
    finally:
        settings.grpc_address_file.unlink(missing_ok=True)
        await server.stop(grace=None)


async def _server(projects: Projects, token: str) -> "grpc.aio.Server":
    from api import rpc
    from api.analysing import SERVICE, CodeAnalysis

    return await rpc.server(token, {SERVICE: CodeAnalysis(projects, analyze).handler()})


async def _listening(server: "grpc.aio.Server", address: Address, files: tuple[bytes, bytes] | None) -> int:
    """The port."""
    import grpc

    sealed, told = grpc.ssl_server_credentials([files]) if files else None, False
    while True:
        try:
            if sealed is None:
                return int(server.add_insecure_port(str(address)))
            return int(server.add_secure_port(str(address), sealed))
        except RuntimeError as error:
            if not told:
                hint = "set `peer_listen_addr` to another address, or to `none`; it is tried again until it works"
                log.warning("gRPC can't be answered", address=str(address), reason=str(error), hint=hint)
            told = True
            await asyncio.sleep(_AGAIN_S)


def _files(tls: Tls) -> tuple[bytes, bytes] | None:
    """The key and the chain. Raises `InvalidConfig`."""
    if not tls.enabled or tls.cert_file is None or tls.key_file is None:
        return None
    try:
        return tls.key_file.read_bytes(), tls.cert_file.read_bytes()
    except OSError as error:
        hint = "tls.cert_file and tls.key_file, or those of grpc.tls, must be files that this user may read"
        raise InvalidConfig(f"gRPC has no certificate: {error}", where="grpc.tls", hint=hint) from error


def _tell(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        log.error("gRPC has ended", reason=repr(error))
