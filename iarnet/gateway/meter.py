"""What goes through Envoy, now and in the last minute."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

from iarnet.errors import GatewayUnavailable, StoreUnavailable
from iarnet.gateway.admin import Admin
from iarnet.gateway.stats import SAMPLE_S, Counts, Key, Window, counted, pattern, told
from iarnet.models.traffic import Service, ServiceTraffic


class Meter:
    """Keeps samples, as rates asked for seldom would be of the time since somebody else has asked."""

    def __init__(self, admin: Admin, services: Callable[[], Awaitable[Iterable[Service]]]) -> None:
        self._admin = admin
        self._services = services
        self._window = Window()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            # It is being started, or the database is busy: the next sample will do.
            with suppress(GatewayUnavailable, StoreUnavailable):
                self._window.keep(_now(), await self._read())
            await asyncio.sleep(SAMPLE_S)

    async def traffic(self, app: str = "") -> list[ServiceTraffic]:
        """Raises `GatewayUnavailable`."""
        counts = await self._read(app)
        return await asyncio.to_thread(self._told, counts, _now())

    def _told(self, counts: dict[Key, Counts], now: float) -> list[ServiceTraffic]:
        return [told(key, counts[key], self._window.recent(now, key, counts[key])) for key in sorted(counts)]

    async def _read(self, app: str = "") -> dict[Key, Counts]:
        text = await self._admin.stats(pattern(app))
        return await asyncio.to_thread(counted, text, await self._services())


def _now() -> float:
    return asyncio.get_running_loop().time()
