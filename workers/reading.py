"""The providers that an API without a worker can ask itself, for logs and whether they answer. It watches none."""

import asyncio
from collections.abc import Sequence

import structlog

from iarnet.errors import IarnetError
from iarnet.providers.registry import ProviderRegistry
from iarnet.store.base import Store

_LOOK_S = 2.0

log = structlog.get_logger()


async def keep(providers: ProviderRegistry, store: Store, docker_urls: Sequence[str]) -> None:
    """Those that are registered, and this machine's engine if it is to be used; until cancelled."""
    problem = ""
    while True:
        try:
            await providers.find_docker(docker_urls)
            await _follow(providers, store)
            problem = ""
        except IarnetError as error:
            if error.message != problem:
                log.warning("providers can't be looked for now", problem=error.message)
            problem = error.message
        await asyncio.sleep(_LOOK_S)


async def _follow(providers: ProviderRegistry, store: Store) -> None:
    registered = {each.id: each for each in await store.providers.registrations()}
    known = {provider.info.id for provider in providers.all() if provider.info.origin != "internal"}
    for id in known - registered.keys():
        await providers.forget(id)
    for id in registered.keys() - known:
        await providers.register(registered[id])
