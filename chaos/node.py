"""A node, or the worker of several processes, that has the `memory` provider instead of an engine."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

from chaos.memory import Elsewhere
from iarnet import logs
from iarnet.config import Settings, load_settings
from iarnet.providers.base import Provider
from workers import data_directory, mode, roles
from workers.node import running
from workers.roles import Role

WORLD = "IARNET_TEST_WORLD"
"""Where the provider is: a socket."""
READY = "This process is up."


def elsewhere(settings: Settings) -> Provider:
    return Elsewhere(Path(os.environ[WORLD]), settings.node_name)


def up(role: Role = "node", provider: Callable[[Settings], Provider] = elsewhere) -> None:
    """Until SIGTERM. It says that it is `READY` in its log."""
    environ = dict(os.environ)
    settings = roles.settled(mode.settled(load_settings(None, environ, {}, cwd=Path.cwd()).settings, environ), role)
    logs.configure(settings.logging)
    with data_directory.held(settings.data_dir):
        asyncio.run(_until_told(settings, role, [] if role == "api" else [provider(settings)]))


def api() -> None:
    up("api")


def worker() -> None:
    up("worker")


async def _until_told(settings: Settings, role: Role, beside: list[Provider]) -> None:
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    async with running(settings, role, beside):
        print(READY, flush=True)
        await told.wait()
