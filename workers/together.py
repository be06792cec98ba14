"""All gateways of a node as one, for those who ask of an application wherever it runs."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from iarnet.errors import GatewayError
from iarnet.gateway.base import Gateway
from iarnet.gateway.direct import Direct
from iarnet.models.instance import Instance
from iarnet.models.traffic import Breaker, EndpointLoad, Service, ServiceTraffic
from iarnet.providers.registry import LOCAL
from iarnet.store.base import Traffic

K = TypeVar("K")
T = TypeVar("T")


class Together:
    """Implements `Gateway`. `gateways`: those of now, by provider. A change is passed on to whom it concerns.

    `local` is the provider beside which names are answered.
    """

    def __init__(self, gateways: Callable[[], Mapping[str, Gateway]], traffic: Traffic, local: str = LOCAL) -> None:
        self._gateways = gateways
        self._traffic = traffic
        self._local = local

    async def serve(self, app: str, provider_id: str, services: Sequence[Service]) -> None:
        await self._of(provider_id).serve(app, provider_id, services)

    async def admit(self, instance: Instance) -> None:
        await self._of(instance.provider_id).admit(instance)

    async def suspend(self, instance: str) -> None:
        await asyncio.gather(*(gateway.suspend(instance) for gateway in await self._leading_to(instance)))

    async def drain(self, instance: str, within_s: float, *, hold: bool = False) -> None:
        leading = await self._leading_to(instance)
        await asyncio.gather(*(gateway.drain(instance, within_s, hold=hold) for gateway in leading))

    async def loads(self) -> list[EndpointLoad]:
        return _joined(await _told(gateway.loads() for gateway in self._gateways().values()))

    async def breakers(self, app: str = "") -> list[Breaker]:
        return _joined(await _told(gateway.breakers(app) for gateway in self._gateways().values()))

    async def checks(self) -> dict[str, bool]:
        return _merged(await _told(gateway.checks() for gateway in self._gateways().values()))

    async def unopened(self) -> dict[int, str]:
        return _merged(await _told(gateway.unopened() for gateway in self._gateways().values()))

    async def uncertified(self) -> dict[str, str]:
        return _merged(await _told(gateway.uncertified() for gateway in self._gateways().values()))

    async def traffic(self, app: str = "") -> list[ServiceTraffic]:
        return _joined(await _told(gateway.traffic(app) for gateway in self._gateways().values()))

    async def refresh(self, app: str = "", within_s: float = 10.0) -> None:
        concerned = self._gateways()
        if app:  # its names are answered here, too
            ids = {self._local, *(service.provider_id for service in await self._traffic.services(app))}
            concerned = {id: gateway for id, gateway in concerned.items() if id in ids}
        await asyncio.gather(*(gateway.refresh(app, within_s) for gateway in concerned.values()))

    def _of(self, provider_id: str) -> Gateway:
        return self._gateways().get(provider_id, Direct())

    async def _leading_to(self, instance: str) -> list[Gateway]:
        endpoints = await self._traffic.endpoints()
        return [self._of(id) for id in {e.provider_id for e in endpoints if e.instance == instance}]


async def _told(questions: Iterable[Awaitable[T]]) -> list[T]:
    """By those that answer; raises what keeps them from it when none does."""
    answers = await asyncio.gather(*questions, return_exceptions=True)
    silent = [answer for answer in answers if isinstance(answer, BaseException)]
    for error in silent:
        if len(silent) == len(answers) or not isinstance(error, GatewayError):
            raise error
    return [answer for answer in answers if not isinstance(answer, BaseException)]


def _merged(found: Iterable[Mapping[K, T]]) -> dict[K, T]:
    return {key: value for each in found for key, value in each.items()}


def _joined(found: Iterable[Iterable[T]]) -> list[T]:
    return [each for several in found for each in several]
