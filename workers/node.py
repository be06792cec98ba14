"""A whole node in one process: the composition root. Nothing else knows which adapter stands behind which port."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import structlog
import uvicorn

from activities.analyzing import Analyzing
from activities.building import Building
from activities.deploying import Deploying
from activities.placing import Placing
from activities.planning import Planning
from activities.ports import HostPorts
from activities.recording import Recording
from activities.revising import Revising
from activities.sourcing import Sourcing
from activities.watching import Watching
from api.app import create_app
from api.deps import Services
from iarnet import logs
from iarnet.analysis.corrections import correct
from iarnet.analysis.engine import analyze
from iarnet.builds.base import Builder
from iarnet.builds.docker import DockerBuilder, image_namer
from iarnet.config import Loaded, Settings
from iarnet.models.provider import ProviderHealth, ProviderRegistration
from iarnet.models.resources import Resources
from iarnet.providers.base import ImageSource, Provider
from iarnet.providers.registry import DockerOptions, ProviderRegistry, default_sockets
from iarnet.secrets.sealed import SealedSecrets
from iarnet.sources.git import GitSources, SourceLimits
from iarnet.store.open import open_store
from iarnet.store.sql import SqlStore
from workers import data_directory, former, replaying, temporal
from workers.monitor import ProviderMonitor
from workers.monitors import NodeMonitors
from workers.pools import Activities, workers
from workers.sweep import sweep, watch_provider

log = structlog.get_logger()


@dataclass(frozen=True)
class Node:
    """A running node. `url` is where its API answers, `ui` the Temporal web UI or empty."""

    url: str
    ui: str
    token: str


@dataclass(frozen=True)
class Adapters:
    """Everything behind a port that does not need Temporal."""

    store: SqlStore
    secrets: SealedSecrets
    sources: GitSources
    providers: ProviderRegistry
    builder: Builder
    images: ImageSource
    monitors: NodeMonitors


def main(loaded: Loaded) -> None:
    """`iarnet up`: until SIGTERM or SIGINT."""
    with data_directory.held(loaded.settings.data_dir):
        asyncio.run(_until_told(loaded.settings))


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Node]:
    """A node, up; it ends cleanly with the block. The data directory must be held."""
    identity = f"{settings.node_name}@{os.getpid()}"
    async with AsyncExitStack() as stack:
        adapters = await _adapters(stack, settings)
        connected = await stack.enter_async_context(temporal.connection(settings, identity))
        client = connected.client
        watching = Watching(adapters.store, adapters.providers, adapters.monitors, client, clock)
        for provider in adapters.providers.all():
            await adapters.monitors.add(provider)
        for worker in workers(client, settings.node_name, _activities(settings, adapters, watching), adapters.secrets):
            await stack.enter_async_context(worker)
        await former.release(client, settings.node_name, identity)
        await sweep(client, adapters.store, watching, [p.info for p in adapters.providers.all()])
        token = data_directory.token(settings.token_file)
        services = _services(settings, adapters, connected, token)
        url = await stack.enter_async_context(_api(settings, services))
        settings.address_file.write_text(url)
        stack.callback(settings.address_file.unlink, missing_ok=True)
        log.info("ready", url=url, temporal_ui=connected.ui, node=settings.node_name)
        yield Node(url, connected.ui, token)
        log.info("stopping")


def clock() -> datetime:
    return datetime.now(UTC)


async def _until_told(settings: Settings) -> None:
    logs.configure(settings.logging)
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    async with running(settings) as node:
        print(f"IARNet is up.  API and docs: {node.url}/docs?token={node.token}", flush=True)
        if node.ui:
            print(f"               Temporal:     {node.ui}", flush=True)
        await told.wait()


async def _adapters(stack: AsyncExitStack, settings: Settings) -> Adapters:
    store = await open_store(settings.database_url, clock)
    stack.push_async_callback(store.aclose)
    secrets = SealedSecrets.open(store.secrets, settings.secrets.key_file)
    await secrets.check()
    logs.configure(settings.logging, secrets.redact)
    sources = GitSources(
        settings.workspace_dir,
        allow_file=settings.git.allow_file,
        allow_private_hosts=settings.git.allow_private_hosts,
        limits=SourceLimits(settings.git.max_bytes, settings.git.max_files, settings.git.timeout_s),
        secrets=secrets,
    )
    providers = ProviderRegistry(
        node=settings.node_name,
        secrets=secrets,
        docker=DockerOptions(
            network_pool=settings.docker.network_pool, publish_address=settings.docker.publish_address
        ),
    )
    stack.push_async_callback(providers.aclose)
    local = await _local_docker(settings, providers)
    for registration in await store.providers.registrations():
        await providers.register(registration)
    monitors = NodeMonitors(partial(_monitor, settings, store))
    stack.push_async_callback(monitors.aclose)
    builder, images = _building(settings, sources, local)
    return Adapters(store, secrets, sources, providers, builder, images, monitors)


async def _local_docker(settings: Settings, providers: ProviderRegistry) -> Provider | None:
    if settings.docker.host == "none":
        return None
    urls = (settings.docker.host,) if settings.docker.host else default_sockets(Path.home(), os.getuid())
    return await providers.find_docker(urls)
