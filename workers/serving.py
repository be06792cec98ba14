"""Serving the API inside the node's process."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import uvicorn

from api.services import Services
from iarnet.config import Settings
from iarnet.config_sections import Address
from iarnet.errors import PortTaken

if TYPE_CHECKING:
    from fastapi import FastAPI

_EVERYWHERE = ("0.0.0.0", "::", "127.0.0.1", "::1")


class _Server(uvicorn.Server):
    """Signals are the node's: uvicorn's own handlers would end the process before the workers have drained."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving(settings: Settings, services: Services) -> AsyncIterator[str]:
    """Serves until the block ends; yields the base URL. Raises `PortTaken`."""
    listener = _listen(settings.api_address)
    app = await asyncio.to_thread(_app, services)
    tls = settings.tls
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=2,
        ssl_certfile=str(tls.cert_file) if tls.enabled else None,
        ssl_keyfile=str(tls.key_file) if tls.enabled else None,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    host = "localhost" if settings.api_address.host in _EVERYWHERE else settings.api_address.host
    try:
        yield f"{'https' if tls.enabled else 'http'}://{host}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


def _app(services: Services) -> "FastAPI":
    # Imported here, beside the workers: a node that was killed goes on with its work before it can be asked about it.
    from api.app import create_app

    return create_app(services)


def _listen(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address.host, address.port))
    except OSError as error:
        listener.close()
        raise PortTaken(
            f"The API can't listen on {address}: {error.strerror}.",
            where="listen_addr",
            hint="Stop what listens there, or choose another: IARNET_LISTEN_ADDR=:8084, or --listen-addr :8084.",
        ) from error
    return listener
