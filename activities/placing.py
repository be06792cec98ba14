"""Where things run."""

from collections.abc import Awaitable, Callable

from temporalio import activity

from iarnet.planning.homes import carrier
from iarnet.store.base import Clock, Store

Carrier = Callable[[str], Awaitable[str]]
"""App -> the node that carries out what concerns it; "" is no app in particular."""


def always(node: str) -> Carrier:
    """Of a node that shares its store with no other."""

    async def itself(app: str) -> str:
        return node

    return itself


def among_several(node: str, store: Store, clock: Clock) -> Carrier:
    """Of a node that shares its store."""

    async def whoever_can(app: str) -> str:
        instances = await store.instances.list(app=app) if app else []
        return carrier(node, await store.providers.states(), instances, clock())

    return whoever_can


class Placing:
    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier

    @activity.defn
    async def this_node(self, app: str = "") -> str:
        """The node that does what concerns this app: the one whose worker took this up, if it can."""
        return await self._carrier(app)
