"""The addresses of services stay, also where somebody cleans up the engine."""

from collections.abc import Mapping

import structlog

from iarnet.errors import IarnetError, NotFound
from iarnet.providers.base import Provider
from iarnet.store.base import Traffic

log = structlog.get_logger()


class Addresses:
    """Of the services on one provider, those beside the network of their app. An engine takes what is there for such
    an address for something that nobody uses, and removes it with the rest (`docker system prune`)."""

    def __init__(self, provider: Provider, traffic: Traffic) -> None:
        self._provider = provider
        self._traffic = traffic
        self._version = -1
        self._known: Mapping[tuple[str, int], str] = {}

    async def keep(self) -> None:
        """Make again what is missing. To be called from time to time."""
        version = await self._traffic.version()
        if version != self._version:
            services = await self._traffic.services(provider_id=self._provider.info.id)
            self._known = {(s.app, s.slot): s.address for s in services if s.slot}
            self._version = version
        for (app, slot), address in self._known.items():
            await self._check(app, slot, address)

    async def _check(self, app: str, slot: int, address: str) -> None:
        try:
            found = await self._provider.network(app, slot)
        except NotFound:
            # The app has left meanwhile.
            return
        except IarnetError as error:
            log.warning("an address can't be kept", app=app, address=address, problem=error.message)
            return
        if found.address != address:
            hint = "give it back, or deploy the app anew"
            log.warning("an address was taken by somebody else", app=app, address=address, hint=hint)
