"""The contract of what leads traffic to instances. One stands beside each engine that can have one."""

from collections.abc import Sequence
from typing import Protocol

from iarnet.models.instance import Instance
from iarnet.models.traffic import Breaker, EndpointLoad, Service, ServiceTraffic


class Gateway(Protocol):
    """Every call may be repeated without harm, is written down first, and returns once it has taken effect.

    All raise `GatewayUnavailable` (retryable) when the data plane does not answer in time, and `GatewayRefused` when
    it does not accept a configuration: what was accepted last goes on.
    """

    async def serve(self, app: str, provider_id: str, services: Sequence[Service]) -> None:
        """Listen for these services of the app there, and for no others."""
        ...

    async def admit(self, instance: Instance) -> None:
        """Send it its share of the requests to its component, at its address of now."""
        ...

    async def suspend(self, instance: str) -> None:
        """Send it nothing until it is admitted again. An unknown one is fine."""
        ...

    async def drain(self, instance: str, within_s: float, *, hold: bool = False) -> None:
        """Send it nothing new, wait until what it works on has ended or `within_s` have passed, and forget it.

        With `hold`, requests that come before its successor is admitted wait for that instead of failing.
        """
        ...

    async def loads(self) -> list[EndpointLoad]:
        """What every endpoint is doing now."""
        ...

    async def unopened(self) -> dict[int, str]:
        """Ports at which names are to be answered and can't be opened, and why."""
        ...

    async def uncertified(self) -> dict[str, str]:
        """Names with a certificate that people aren't shown, and why; "" when that is only about to be."""
        ...

    async def breakers(self, app: str = "") -> list[Breaker]:
        """The limits of every service that has some; of all apps, or of one."""
        ...

    async def checks(self) -> dict[str, bool]:
        """The instances that it asks by itself whether they answer, and whether they do."""
        ...

    async def traffic(self, app: str = "") -> list[ServiceTraffic]:
        """What has gone through to each component that something was sent to, and by each added route; of all apps,
        or of one.
        """
        ...

    async def refresh(self, app: str = "", within_s: float = 10.0) -> None:
        """Take over what has been changed of the app in the store, and have it take effect within that time.

        Without `app` that of all: what is refused for one of them is not raised, and keeps nothing from the others.
        """
        ...


class Gateways(Protocol):
    """The gateways that this node drives."""

    def get(self, provider_id: str) -> Gateway:
        """Where there is none, one that leaves instances to be reached directly."""
        ...
