"""Where there is no gateway."""

from collections.abc import Sequence

from iarnet.models.instance import Instance
from iarnet.models.traffic import Breaker, EndpointLoad, Service, ServiceTraffic


class Direct:
    """Instances are reached directly, at their own addresses and the host ports that they publish."""

    async def serve(self, app: str, provider_id: str, services: Sequence[Service]) -> None:
        pass

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
