"""Envoy and what drives it, put together. A module of its own, because its imports take a third of a second."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

from iarnet.config import Settings
from iarnet.gateway import access_log, process
from iarnet.gateway.admin import Admin
from iarnet.gateway.envoy import EnvoyGateway
from iarnet.gateway.xds import AdsServer
from iarnet.providers.registry import LOCAL
from iarnet.store.base import Traffic


async def started(stack: AsyncExitStack, settings: Settings, traffic: Traffic) -> EnvoyGateway:
    """The one of the last node, when it still runs. It ends with the stack if there is nothing to lead to any more.

    Raises `Missing`, `GatewayUnavailable`.
    """
    where = process.place(settings.data_dir / "gateway")
    admin = Admin(where.admin)
    gateway = EnvoyGateway(
        traffic,
        LOCAL,
        AdsServer(),
        admin,
        journal=where.journal,
        access_log=where.access_log,
        publish_address=settings.docker.publish_address,
    )
    options: dict[str, Any] = {
        "binary": settings.gateway.binary,
        "concurrency": settings.gateway.threads,
        "access_log": settings.gateway.access_log,
    }
    envoy = await process.start(where, **options)
    await access_log.set_share(admin, settings.gateway.access_log)
    stack.push_async_callback(_leave, where, traffic)
    await gateway.start(where.ads)
    stack.push_async_callback(gateway.aclose)
    for service in (
        process.keep(where, envoy, **options),
        access_log.keep_short(where.access_log, admin),
        gateway.measure(),
    ):
        stack.callback(asyncio.create_task(service).cancel)
    return gateway


async def _leave(where: process.Place, traffic: Traffic) -> None:
    if not await traffic.services(provider_id=LOCAL):
        await process.stop(where)
