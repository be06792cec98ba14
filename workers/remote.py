"""An Envoy elsewhere and what drives it, put together; a module of its own, as `workers.envoy`."""

import asyncio
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from iarnet.config import Settings
from iarnet.errors import IarnetError
from iarnet.gateway import access_log, process
from iarnet.gateway.admin import Admin
from iarnet.gateway.envoy import EnvoyGateway
from iarnet.gateway.named import Ports
from iarnet.gateway.names import Names
from iarnet.gateway.remote import ACCESS_LOG, RemoteEnvoy
from iarnet.gateway.xds import AdsServer
from iarnet.providers.docker.companion import Companion
from iarnet.secrets.base import Secrets
from iarnet.store.base import Store, Traffic

_END_S = 10.0


async def started(
    stack: AsyncExitStack, settings: Settings, store: Store, secrets: Secrets, provider_id: str, companion: Companion
) -> EnvoyGateway:
    """The one of the last node, when it still runs. It ends with the stack if there is nothing to lead to any more.

    Raises `Missing`, `ProviderError`, `GatewayUnavailable`.
    """
    where = process.place(settings.data_dir / "gateway" / provider_id)
    image = await companion.image(Path(process.program(settings.gateway.binary)))
    share = settings.gateway.access_log
    envoy = RemoteEnvoy(companion, image, where, concurrency=settings.gateway.threads, access_log=share)
    await envoy.start(replace=not await store.traffic.services(provider_id=provider_id))
    stack.push_async_callback(_leave, companion, store.traffic, provider_id)
    stack.push_async_callback(envoy.aclose)
    admin, ads, address = Admin(where.admin), AdsServer(), settings.docker.publish_address
    await access_log.set_share(admin, share)
    ports = Ports(address, settings.gateway.http_port, settings.gateway.https_port, ACCESS_LOG)
    gateway = EnvoyGateway(
        store.traffic,
        provider_id,
        ads,
        admin,
        Names(store.domains, secrets, ads, ports, home=False),
        journal=None,
        access_log=ACCESS_LOG,
        publish_address=address,
    )
    await gateway.start(where.ads)
    stack.push_async_callback(gateway.aclose)
    for service in (envoy.drive(), gateway.measure()):
        stack.callback(asyncio.create_task(service).cancel)
    return gateway


async def _leave(companion: Companion, traffic: Traffic, provider_id: str) -> None:
    """An engine that is out of reach keeps it."""
    if await traffic.services(provider_id=provider_id):
        return
    with suppress(IarnetError, TimeoutError):
        async with asyncio.timeout(_END_S):
            await companion.remove()
