"""All gateways of a node as one."""

import asyncio
from collections.abc import Sequence

import pytest

from iarnet.errors import GatewayUnavailable
from iarnet.gateway.direct import Direct
from iarnet.models.traffic import Endpoint, EndpointLoad, Service
from iarnet.providers.registry import LOCAL
from workers.together import Together


class Rows:
    """What the store has."""

    def __init__(self, *endpoints: Endpoint) -> None:
        self._endpoints = endpoints

    async def services(self, app: str | None = None, provider_id: str | None = None) -> list[Service]:
        known = {"component": "web", "address": "127.0.0.1", "subnet": "127.0.0.0/8", "port": 80}
        found = [Service(app=e.app, provider_id=e.provider_id, **known) for e in self._endpoints]
        return [service for service in found if service.app == app]

    async def endpoints(self, app: str | None = None, provider_id: str | None = None) -> list[Endpoint]:
        return list(self._endpoints)


class Heard(Direct):
    """Writes down what it is told, and tells of one instance, or that it is out of reach."""

    def __init__(self, name: str, *, away: bool = False) -> None:
        self.name = name
        self.away = away
        self.told: list[str] = []

    async def drain(self, instance: str, within_s: float, *, hold: bool = False) -> None:
        self.told.append(f"drain {instance}")

    async def refresh(self, app: str = "", within_s: float = 10.0) -> None:
        self.told.append(f"refresh {app}")

    async def loads(self) -> list[EndpointLoad]:
        if self.away:
            raise GatewayUnavailable(f"{self.name} is away")
        return [EndpointLoad(instance=f"{self.name}-1")]


def endpoint(instance: str, provider_id: str, app: str = "shop") -> Endpoint:
    return Endpoint(app=app, component="web", instance=instance, provider_id=provider_id, address="127.0.0.2")


def together(gateways: Sequence[Heard], *endpoints: Endpoint) -> Together:
    return Together(lambda: {gateway.name: gateway for gateway in gateways}, Rows(*endpoints))  # type: ignore[arg-type]


async def test_a_change_is_told_to_those_whom_it_concerns() -> None:
    here, there, far = (Heard(name) for name in (LOCAL, "there", "far"))
    rows = (endpoint("a", LOCAL), endpoint("b", "there"), endpoint("outside", LOCAL), endpoint("outside", "there"))
    gateway = together([here, there, far], *rows)
    await gateway.drain("b", 1)
    assert (here.told, there.told, far.told) == ([], ["drain b"], [])
    await asyncio.gather(gateway.drain("outside", 1), gateway.drain("gone", 1))
    assert (here.told, there.told, far.told) == (["drain outside"], ["drain b", "drain outside"], [])
    await gateway.refresh("shop")
    assert (here.told[-1], there.told[-1], far.told) == ("refresh shop", "refresh shop", [])
    await together([here, there, far], endpoint("c", "far", "lone")).refresh("lone")
    assert (here.told[-1], there.told[-1], far.told) == ("refresh lone", "refresh shop", ["refresh lone"])
    await gateway.refresh()
    assert far.told == ["refresh lone", "refresh "]


async def test_one_that_is_away_keeps_nothing_from_the_others_unless_it_is_the_only_one() -> None:
    here, away = Heard("here"), Heard("away", away=True)
    assert [load.instance for load in await together([here, away]).loads()] == ["here-1"]
    with pytest.raises(GatewayUnavailable, match="away"):
        await together([away]).loads()
    assert await together([]).loads() == []
