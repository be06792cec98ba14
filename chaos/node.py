"""A node that has the `memory` provider instead of an engine."""

import asyncio
import os
import signal
from pathlib import Path

from chaos.memory import Elsewhere
from iarnet import logs
from iarnet.config import Settings, load_settings
from workers import data_directory, mode
from workers.node import running

WORLD = "IARNET_TEST_WORLD"
"""Where the provider is: a socket."""


def up() -> None:
    """Until SIGTERM."""
    environ = dict(os.environ)
    settings = mode.settled(load_settings(None, environ, {}, cwd=Path.cwd()).settings, environ)
    logs.configure(settings.logging)
    with data_directory.held(settings.data_dir):
        asyncio.run(_until_told(settings, Path(environ[WORLD])))


async def _until_told(settings: Settings, world: Path) -> None:
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    async with running(settings, beside=[Elsewhere(world, settings.node_name)]):
        await told.wait()
