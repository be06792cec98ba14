"""Bringing an image to an engine that lacks it, so that what has arrived is not sent again.

An engine keeps nothing of an archive that breaks off. So each layer goes in an archive of its own, as the last of an
image that has the layers up to it: what an engine has of these it does not look for in the archive (moby,
`image/tarexport/load.go`: a layer is looked up by the digest of its chain first). Such images have no name, and go
when all is there. Decision 0029.
"""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from tempfile import TemporaryFile
from typing import IO, Any

import docker
from docker.utils.json_stream import json_stream

from iarnet.errors import Conflict, ImageUnavailable, ProviderError, ProviderRefused, ProviderUnavailable
from iarnet.providers.base import ImageSource
from iarnet.providers.docker.engine import Engine
from iarnet.providers.docker.request import request
from iarnet.providers.docker.saved import SavedImage


async def carry(engine: Engine, image: str, source: ImageSource) -> None:
    """Needs room for the image in the folder for temporary files.

    Raises `ProviderUnavailable` when the connection is lost: then call it again.
    """
    with TemporaryFile() as archive:
        await _write(archive, source, image)
        saved = await asyncio.to_thread(SavedImage, archive)
        try:
            await _by_layers(engine, saved)
        except ProviderUnavailable:
            raise
        except (ProviderError, ProviderRefused):
            # An engine that wants all layers in one archive, or one where somebody has just removed a layer.
            await _load(engine, saved.whole())
        await asyncio.gather(*(_forget(engine, saved.step_id(depth)) for depth in range(1, saved.depth)))


async def _write(archive: IO[bytes], source: ImageSource, image: str) -> None:
    async for chunk in source.export(image):
        await asyncio.to_thread(archive.write, chunk)


async def _by_layers(engine: Engine, saved: SavedImage) -> None:
    there = await _deepest(engine, saved)
    for depth in range(there + 1, saved.depth + 1):
        await _load(engine, saved.step(depth, layer=True))


async def _deepest(engine: Engine, saved: SavedImage) -> int:
    """How many of the layers are there already, from the first on: halving, with archives that hold no layer."""
    there, lacking = 0, saved.depth + 1
    middle = saved.depth
    while there + 1 < lacking:
        if await _takes(engine, saved.step(middle, layer=False)):
            there = middle
        else:
            lacking = middle
        middle = (there + lacking) // 2
    return there


async def _takes(engine: Engine, archive: Iterator[bytes]) -> bool:
    try:
        await _load(engine, archive)
    except ProviderUnavailable:
        raise
    except (ProviderError, ProviderRefused):
        return False
    return True


async def _load(engine: Engine, archive: Iterator[bytes]) -> None:
    await engine.ask(lambda c: _send(c, archive))


def _send(client: docker.APIClient, archive: Iterator[bytes]) -> None:
    """What goes wrong with an archive is said in an answer that begins with 200."""
    answer = request(client, "POST", "/images/load", data=archive, params={"quiet": 1})
    lines: Iterator[Any] = json_stream(iter([answer.text]))
    for line in lines:
        if "error" in line:
            raise ProviderError(str(line["error"]), where=client.base_url, hint="look at the engine's log there")


async def _forget(engine: Engine, id: str) -> None:
    with suppress(ImageUnavailable, Conflict):  # it was not needed, or somebody uses it
        await engine.ask(lambda c: c.remove_image(id))
