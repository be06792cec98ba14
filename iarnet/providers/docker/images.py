"""Getting an image onto an engine."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any
from weakref import WeakValueDictionary

import docker
import requests
from docker.auth import get_config_header, resolve_repository_name
from docker.utils import parse_repository_tag
from docker.utils.json_stream import json_stream

from iarnet.errors import ImageUnavailable, NotFound, ProviderError, ProviderUnavailable
from iarnet.providers.base import ImageSource
from iarnet.providers.docker.carry import carry
from iarnet.providers.docker.engine import Engine, or_none
from iarnet.providers.docker.request import stream
from iarnet.providers.docker.stream import Stream

PULL_S = 120.0

_CHUNK = 1 << 20

_HINTS = (
    ("pull access denied", "check the image's name; a private one needs `docker login` on that host"),
    ("manifest unknown", "check the tag"),
    ("not found", "check the image's name and tag"),
    ("no such host", "that host can't reach the registry: build or load the image there"),
    ("dial tcp", "that host can't reach the registry: build or load the image there"),
    ("toomanyrequests", "the registry's rate limit is used up: `docker login` on that host, or wait"),
    ("no space left", "free disk space on that host"),
)


class Images:
    """One fetch per image at a time."""

    def __init__(self, engine: Engine, *, pull_s: float = PULL_S) -> None:
        self._engine = engine
        self._pull_s = pull_s
        self._fetching: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def ensure(self, image: str, source: ImageSource | None) -> None:
        if await has(self._engine, image):
            return
        async with self._fetching.setdefault(image, asyncio.Lock()):
            if await has(self._engine, image):
                return
            if source is not None and await source.has(image):
                await self._load(image, source)
            else:
                await self._pull(image)

    async def _load(self, image: str, source: ImageSource) -> None:
        await carry(self._engine, image, source)
        if not await has(self._engine, image):
            raise ImageUnavailable(
                f"{image} is not in the archive that was loaded",
                where=self._engine.connection.url,
                hint="build it again",
            )

    async def _pull(self, image: str) -> None:
        try:
            async with asyncio.timeout(self._pull_s):
                await self._read_pull(image)
        except TimeoutError:
            raise self._unavailable(image, f"the pull did not end within {self._pull_s:.0f} s") from None
        except ProviderUnavailable:
            raise
        except (ProviderError, NotFound) as e:
            raise self._unavailable(image, e.message) from e

    async def _read_pull(self, image: str) -> None:
        async with aclosing(self._engine.stream(lambda c: _pull(c, image))) as progress:
            async for step in progress:
                if "error" in step:
                    raise ProviderError(str(step["error"]))

    def _unavailable(self, image: str, why: str) -> ImageUnavailable:
        text = why.lower()
        hint = next((h for word, h in _HINTS if word in text), "check that this image can be pulled on that host")
        return ImageUnavailable(
            f"The image {image} can't be had: {why}", where=self._engine.connection.url, hint=hint
        )


class EngineImages:
    """The images of an engine as a source for others."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def has(self, image: str) -> bool:
        return await has(self._engine, image)

    def export(self, image: str) -> AsyncIterator[bytes]:
        return self._engine.stream(lambda c: _export(c, image))


async def has(engine: Engine, image: str) -> bool:
    try:
        found = await or_none(engine.ask(lambda c: c.inspect_image(image)))  # type: ignore[no-untyped-call]
        return found is not None
    except ImageUnavailable:
        return False


def _export(client: docker.APIClient, image: str) -> Stream[bytes]:
    return stream(client, "GET", f"/images/{image}/get", lambda r: r.iter_content(_CHUNK))


def _pull(client: docker.APIClient, image: str) -> Stream[Any]:
    repository, tag = parse_repository_tag(image)
    registry, _ = resolve_repository_name(repository)
    login = get_config_header(client, registry)
    headers = {"X-Registry-Auth": login} if login else {}
    parameters = {"fromImage": repository, "tag": tag or "latest"}
    return stream(client, "POST", "/images/create", _progress, params=parameters, headers=headers)


def _progress(response: requests.Response) -> Iterator[Any]:
    return json_stream(response.iter_content(None))
