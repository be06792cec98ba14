"""Envoy and what drives it, put together. A module of its own, because its imports take a third of a second."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

from iarnet.config import Settings
from iarnet.gateway import access_log, process
from iarnet.gateway.admin import Admin
from iarnet.gateway.envoy import EnvoyGateway
from iarnet.gateway.named import Ports
from iarnet.gateway.names import Names
from iarnet.gateway.xds import AdsServer
from iarnet.secrets.base import Secrets
from iarnet.store.base import Store, Traffic
from workers.mode import local_provider


async def started(stack: AsyncExitStack, settings: Settings, store: Store, secrets: Secrets) -> EnvoyGateway:
    """The one of the last node, when it still runs. It ends with the stack if there is nothing to lead to any more.

    Raises `Missing`, `GatewayUnavailable`.
    """
    where, provider_id = process.place(settings.data_dir / "gateway"), local_provider(settings)
    admin, ads, traffic = Admin(where.admin), AdsServer(), store.traffic
    address = settings.docker.publish_address
    ports = Ports(address, settings.gateway.http_port, settings.gateway.https_port, where.access_log)
    gateway = EnvoyGateway(
        traffic,
        provider_id,
        ads,
        admin,
        Names(store.domains, secrets, ads, ports),
        journal=where.journal,
        access_log=where.access_log,
        publish_address=address,
    )
    options: dict[str, Any] = {
        "binary": settings.gateway.binary,
        "concurrency": settings.gateway.threads,
        "access_log": settings.gateway.access_log,
    }
    envoy = await process.start(where, **options)
    await access_log.set_share(admin, settings.gateway.access_log)
    stack.push_async_callback(_leave, where, traffic, provider_id)
    await gateway.start(where.ads)
    stack.push_async_callback(gateway.aclose)
    for service in (
        process.keep(where, envoy, **options),
        access_log.keep_short(where.access_log, admin),
        gateway.measure(),
    ):
        stack.callback(asyncio.create_task(service).cancel)
    return gateway


async def _leave(where: process.Place, traffic: Traffic, provider_id: str) -> None:
    if not await traffic.services(provider_id=provider_id):
        await process.stop(where)
