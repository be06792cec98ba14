"""The gateways beside engines elsewhere: one for each that can have one, from its first service on."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module

import structlog

from iarnet.config import Settings
from iarnet.errors import IarnetError, SpecMismatch
from iarnet.gateway.base import Gateway
from iarnet.providers.base import ImageSource, Provider
from iarnet.providers.docker.companion import Base, Companion
from iarnet.providers.docker.provider import DockerProvider
from iarnet.secrets.base import Secrets
from iarnet.store.base import Store
from workers.gateways import LateGateway

BASE = Base("debian:bookworm-slim")
"""Envoy needs its C library, and what joins its sockets with ours its Perl."""

_END_S = 10.0

log = structlog.get_logger()


def base(settings: Settings) -> Base:
    """What they are made from."""
    wanted = settings.gateway
    made = Base(wanted.image, whole=True) if wanted.image else BASE
    return replace(made, retired=not (wanted.enabled and wanted.remote))


@dataclass
class _Remote:
    gateway: LateGateway
    stack: AsyncExitStack
    companion: Companion
    preparing: asyncio.Task[None]


class Remotes:
    def __init__(self, settings: Settings, store: Store, secrets: Secrets) -> None:
        self._settings = settings
        self._store = store
        self._secrets = secrets
        self._remotes: dict[str, _Remote] = {}

    def gateways(self) -> Mapping[str, Gateway]:
        """As of now, by provider."""
        return {id: remote.gateway for id, remote in self._remotes.items()}

    async def attach(self, provider: Provider, images: ImageSource, within_s: float) -> None:
        """Take up what is led there. What it is made from is brought there if need be, within that time or later."""
        id = provider.info.id
        if not isinstance(provider, DockerProvider) or not (companion := provider.companion):
            return
        if companion.retired and not await self._is_led_on(id, companion):
            return
        stack = AsyncExitStack()
        late = LateGateway(partial(self._start, stack, id, companion), partial(self._is_used, id))
        preparing = asyncio.create_task(_prepare(provider, companion, images))
        self._remotes[id] = _Remote(late, stack, companion, preparing)
        await late.look()
        await asyncio.wait([preparing], timeout=within_s)

    async def remove(self, provider_id: str) -> None:
        """Nothing of it stays there, unless the engine is out of reach."""
        traffic = self._store.traffic
        for app in {service.app for service in await traffic.services(provider_id=provider_id)}:
            await traffic.serve(app, provider_id, ())
        if remote := self._remotes.pop(provider_id, None):
            await _close(remote)
            with suppress(IarnetError, TimeoutError):
                async with asyncio.timeout(_END_S):
                    await remote.companion.remove()

    async def drop(self, provider_id: str) -> None:
        """Traffic there goes on, and is taken up again by the next `attach`."""
        if remote := self._remotes.pop(provider_id, None):
            await _close(remote)

    async def aclose(self) -> None:
        """Traffic goes on."""
        await asyncio.gather(*map(_close, self._remotes.values()))

    async def _is_used(self, provider_id: str) -> bool:
        return bool(await self._store.traffic.services(provider_id=provider_id))

    async def _is_led_on(self, provider_id: str, companion: Companion) -> bool:
        """It leads to something, though it is not to lead to more. An engine that is away does not say."""
        if not await self._is_used(provider_id):
            return False
        try:
            return await companion.runs()
        except SpecMismatch:
            return False
        except IarnetError:
            return True

    async def _start(self, stack: AsyncExitStack, provider_id: str, companion: Companion) -> Gateway:
        remote = await asyncio.to_thread(import_module, "workers.remote")
        gateway: Gateway = await remote.started(
            stack, self._settings, self._store, self._secrets, provider_id, companion
        )
        return gateway


async def _prepare(provider: DockerProvider, companion: Companion, images: ImageSource) -> None:
    if companion.retired:
        return
    try:
        await provider.prepare_companion(images)
    except IarnetError as error:
        log.warning(
            "applications there are reached directly",
            provider=provider.info.id,
            problem=error.message,
            hint=f"{error.hint}; or set gateway.image, or gateway.remote to false",
        )


async def _close(remote: _Remote) -> None:
    remote.preparing.cancel()
    await remote.gateway.aclose()
    await remote.stack.aclose()
