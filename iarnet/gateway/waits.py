"""Waiting for what only Envoy knows of an endpoint."""

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress

import structlog

from iarnet.errors import GatewayUnavailable
from iarnet.gateway.admin import Admin
from iarnet.models.traffic import Endpoint, EndpointLoad

_IDLE_S = 0.05
_ANSWER_S = 1.0
_WELL_S = 0.01
_SLOW_S = 0.1
_EJECTED_S = 2.5
"""Somewhat longer than Envoy keeps one away that can't be connected to."""

log = structlog.get_logger()


class Waits:
    def __init__(self, admin: Admin) -> None:
        self._admin = admin

    async def idle(self, endpoint: Endpoint, within_s: float) -> None:
        """Return when nothing is under way there or the time is over.

        The first look comes a moment later: Envoy's threads hear of a change one after the other. Of datagrams it
        does not say what is under way: the next one of each client goes elsewhere, and answers to those before have
        `_ANSWER_S`.
        """
        try:
            async with asyncio.timeout(within_s):
                if await self._has_datagrams(endpoint):
                    await asyncio.sleep(_ANSWER_S)
                while True:
                    await asyncio.sleep(_IDLE_S)
                    loads = await self._loads(endpoint)
                    if loads is not None and not (endpoint.instance in loads and loads[endpoint.instance].requests):
                        return
        except TimeoutError:
            log.warning("an instance is waited for no longer", instance=endpoint.instance, within_s=within_s)

    async def well(self, endpoint: Endpoint, wanted: Callable[[], bool], within_s: float) -> bool:
        """Return when it passes Envoy's own check, which begins as soon as Envoy knows it, or False when it is not
        `wanted` any more. Raises `TimeoutError`."""
        pause = _WELL_S
        async with asyncio.timeout(within_s):
            while wanted():
                loads = await self._loads(endpoint)
                if loads and endpoint.instance in loads and loads[endpoint.instance].healthy:
                    return True
                await asyncio.sleep(pause)
                pause = min(_SLOW_S, pause * 1.5)
        return False

    async def stands_in(self, endpoint: Endpoint, others: Collection[str]) -> None:
        """Return when not all `others` of its component are ejected: they are about to be all there is."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_EJECTED_S):
                while others and (loads := await self._loads(endpoint)):
                    if not all(other in loads and loads[other].ejected for other in others):
                        return
                    await asyncio.sleep(_WELL_S)

    async def _has_datagrams(self, endpoint: Endpoint) -> bool:
        try:
            return await self._admin.has_datagrams(endpoint.app, endpoint.component)
        except GatewayUnavailable:
            return False  # an Envoy that is not there has no sessions either

    async def _loads(self, endpoint: Endpoint) -> dict[str, EndpointLoad] | None:
        """Of its component, by instance. None while Envoy does not say: it may be starting."""
        try:
            return await self._admin.loads(endpoint.app, endpoint.component)
        except GatewayUnavailable:
            return None
