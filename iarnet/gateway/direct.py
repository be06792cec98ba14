"""Where there is no gateway."""

from collections.abc import Sequence

from iarnet.models.instance import Instance
from iarnet.models.traffic import Breaker, EndpointLoad, Service, ServiceTraffic
from iarnet.store.base import Traffic


class Direct:
    """Instances are reached directly, at their own addresses and the host ports that they publish.

    `traffic`: where a gateway that was there before may have left what it served.
    """

    def __init__(self, traffic: Traffic | None = None) -> None:
        self._traffic = traffic

    async def serve(self, app: str, provider_id: str, services: Sequence[Service]) -> None:
        if self._traffic:
            await self._traffic.serve(app, provider_id, services)

    async def admit(self, instance: Instance) -> None:
        pass

    async def suspend(self, instance: str) -> None:
        pass

    async def drain(self, instance: str, within_s: float, *, hold: bool = False) -> None:
        pass

    async def loads(self) -> list[EndpointLoad]:
        return []

    async def unopened(self) -> dict[int, str]:
        return {}

    async def uncertified(self) -> dict[str, str]:
        return {}

    async def breakers(self, app: str = "") -> list[Breaker]:
        return []

    async def checks(self) -> dict[str, bool]:
        return {}

    async def traffic(self, app: str = "") -> list[ServiceTraffic]:
        return []

    async def refresh(self, app: str = "", within_s: float = 10.0) -> None:
        pass
