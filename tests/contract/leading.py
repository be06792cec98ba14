"""What stands beside a provider in tests of effects."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

from iarnet.gateway.direct import Direct
from iarnet.models.instance import Instance
from iarnet.models.traffic import Service
from iarnet.providers.base import Provider


def untold(provider_id: str, instance: str, expected: object) -> AbstractAsyncContextManager[None]:
    """For those whom nobody watches."""
    return nullcontext()


class Led(Direct):
    """A gateway that carries nothing, and keeps to which instances and by which services users are led."""

    def __init__(self) -> None:
        self.to: set[str] = set()
        self.services: tuple[Service, ...] = ()

    async def serve(self, app: str, provider_id: str, services: Sequence[Service]) -> None:
        self.services = tuple(services)

    async def admit(self, instance: Instance) -> None:
        self.to.add(instance.name)

    async def drain(self, instance: str, within_s: float, *, hold: bool = False) -> None:
        self.to.discard(instance)


class One:
    """The provider, or the gateway, whichever is asked for."""

    def __init__(self, it: Any) -> None:
        self._it = it

    def get(self, provider_id: str) -> Any:
        return self._it

    def all(self) -> list[Provider]:
        return [self._it]
