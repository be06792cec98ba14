"""A gateway that carries nothing: it keeps what it took over from the store, and refuses what it is told to."""

from collections.abc import Callable, Sequence

from iarnet.errors import GatewayError, GatewayRefused
from iarnet.models.instance import Instance
from iarnet.models.traffic import Breaker, Endpoint, EndpointLoad, Route, Service, ServiceTraffic
from iarnet.store.base import Store


class RecordingGateway:
    """`routes` and `endpoints` are what it accepted last."""

    def __init__(self, store: Store) -> None:
        self._traffic = store.traffic
        self.refuses: Callable[[Route | Endpoint], bool] = lambda value: False
        self.down: GatewayError | None = None
        self.busy: list[EndpointLoad] = []
        self.routes: list[Route] = []
        self.endpoints: list[Endpoint] = []
        self.counted: list[ServiceTraffic] = []
        self.full: list[Breaker] = []
        self.drained: list[tuple[str, float]] = []
        self.closed: dict[int, str] = {}
        self.unused: dict[str, str] = {}

    async def serve(self, app: str, provider_id: str, services: Sequence[Service]) -> None:
        raise NotImplementedError("the API never asks for it")

    async def admit(self, instance: Instance) -> None:
        raise NotImplementedError("the API never asks for it")

    async def suspend(self, instance: str) -> None:
        raise NotImplementedError("the API never asks for it")

    async def drain(self, instance: str, within_s: float, *, hold: bool = False) -> None:
        self._check()
        self.drained.append((instance, within_s))
        await self._traffic.forget_endpoint(instance)
        await self.refresh()

    async def loads(self) -> list[EndpointLoad]:
        self._check()
        return self.busy

    async def breakers(self, app: str = "") -> list[Breaker]:
        self._check()
        return self.full

    async def uncertified(self) -> dict[str, str]:
        return self.unused

    async def unopened(self) -> dict[int, str]:
        return self.closed

    async def checks(self) -> dict[str, bool]:
        return {}

    async def traffic(self, app: str = "") -> list[ServiceTraffic]:
        self._check()
        return [t for t in self.counted if app in ("", t.app)]

    async def refresh(self, app: str = "", within_s: float = 10.0) -> None:
        self._check()
        routes, endpoints = await self._traffic.routes(), await self._traffic.endpoints()
        if bad := [value for value in (*routes, *endpoints) if self.refuses(value)]:
            raise GatewayRefused(f"no way: {bad[0]}", where="listener")
        self.routes, self.endpoints = routes, endpoints

    def _check(self) -> None:
        if self.down:
            raise self.down
