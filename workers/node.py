"""A whole node in one process, or one side of it: the composition root.

Nothing else knows which adapter stands behind which port.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from pathlib import Path
from secrets import token_hex

import structlog
from temporalio.client import Client, Interceptor

from activities.analyzing import Analyzing
from activities.building import Building
from activities.certifying import Certifying, watch_certificate
from activities.deploying import Deploying
from activities.placing import Placing, always, among_several
from activities.planning import Planning
from activities.ports import HostPorts
from activities.reconciling import Reconciling
from activities.recording import Recording
from activities.revising import Revising
from activities.sourcing import Sourcing
from activities.watching import Watching
from api.services import Services
from iarnet import faults, logs
from iarnet.analysers.projects import Projects
from iarnet.analysis.corrections import apply_corrections
from iarnet.builds.docker import DockerBuilder
from iarnet.builds.late import LateBuilder
from iarnet.config import Loaded, Settings
from iarnet.errors import Missing
from iarnet.models.resources import Resources
from iarnet.providers.base import Provider
from iarnet.providers.registry import DockerOptions, ProviderRegistry, default_sockets
from iarnet.secrets.sealed import SealedSecrets
from iarnet.sources.git import GitSources
from iarnet.store.open import open_store
from iarnet.store.sql import SqlStore
from workers import analysing, data_directory, former, mode, pools, replaying, roles, temporal, versions
from workers.answering import answering
from workers.attaching import Attachments
from workers.following import follow
from workers.gateways import NodeGateways, gateways
from workers.issuers import NodeIssuers
from workers.monitor import ProviderMonitor
from workers.monitors import NodeMonitors
from workers.pools import Activities
from workers.reading import keep
from workers.remotes import Remotes, base
from workers.roles import Role
from workers.serving import serving
from workers.sweep import is_open, sweep
from workers.together import Together

log = structlog.get_logger()


@dataclass(frozen=True)
class Node:
    """A running node. `url` is where its API answers, empty without one; `ui` the Temporal web UI or empty."""

    url: str
    ui: str
    token: str


@dataclass(frozen=True)
class Adapters:
    """Everything behind a port that does not need Temporal. `owner` marks what they make."""

    owner: str
    store: SqlStore
    secrets: SealedSecrets
    sources: GitSources
    providers: ProviderRegistry
    builder: LateBuilder
    gateways: NodeGateways
    remotes: Remotes
    issuers: NodeIssuers
    monitors: NodeMonitors


def main(loaded: Loaded, environ: Mapping[str, str], role: Role = "node") -> None:
    """`iarnet up`, `iarnet api`, `iarnet worker`: until SIGTERM or SIGINT."""
    settings = roles.settled(mode.settled(loaded.settings, environ), role)
    faults.arm(environ.get("IARNET_FAULTS", ""))
    with data_directory.held(settings.data_dir):
        asyncio.run(_until_told(settings, role))


@asynccontextmanager
async def running(settings: Settings, role: Role = "node", beside: Sequence[Provider] = ()) -> AsyncIterator[Node]:
    """A node, up; it ends cleanly with the block. The data directory must be held, mode and role be settled.

    `beside`: providers that it has besides those that it finds and those that are registered.
    """
    identity = f"{settings.node_name}@{os.getpid()}"
    async with AsyncExitStack() as stack:
        adapters = await _adapters(stack, settings)
        interceptors = await _traces(stack, settings)
        connected = await stack.enter_async_context(temporal.connection(settings, identity, interceptors))
        attachments = _attachments(settings, adapters, connected.client, role)
        if role == "api":
            reading = keep(adapters.providers, adapters.store, attachments.docker_urls)
            stack.callback(asyncio.create_task(reading).cancel)
        else:
            await _work(stack, settings, adapters, attachments, connected.client, beside)
        token = data_directory.token(settings.token_file)
        url = ""
        if role != "worker":
            services = _services(settings, adapters, attachments, connected, token)
            url = await stack.enter_async_context(serving(settings, services))
            settings.address_file.write_text(url)
            stack.callback(settings.address_file.unlink, missing_ok=True)
            await stack.enter_async_context(answering(settings, _projects(settings, adapters), token))
        log.info("ready", role=role, url=url, temporal_ui=connected.ui, node=settings.node_name)
        yield Node(url, connected.ui, token)
        log.info("stopping")


async def _traces(stack: AsyncExitStack, settings: Settings) -> Sequence[Interceptor]:
    if not settings.telemetry.endpoint:
        return []
    try:
        telemetry = await asyncio.to_thread(import_module, "workers.telemetry")
    except ImportError as error:
        # `xds-protos` has old copies of some of its files, and an installer may have put them on top.
        raise Missing(
            f"Traces can't be sent with what is installed: {error}",
            where="telemetry.endpoint",
            hint="pip install --force-reinstall --no-deps opentelemetry-proto googleapis-common-protos",
        ) from error
    made: Sequence[Interceptor] = await stack.enter_async_context(
        telemetry.tracing_to(settings.telemetry.endpoint, settings.node_name)
    )
    return made


async def _work(
    stack: AsyncExitStack,
    settings: Settings,
    adapters: Adapters,
    attachments: Attachments,
    client: Client,
    beside: Sequence[Provider],
) -> None:
    """Providers are attached and watched, and the queues of this node are served, until the stack ends."""
    watching = Watching(
        adapters.store, adapters.providers, adapters.monitors, adapters.gateways, client, adapters.secrets, clock
    )
    for provider in beside:
        await attachments.take(provider)
    await stack.enter_async_context(attachments.looking())
    activities = _activities(settings, adapters, watching, client)
    build = settings.temporal.build_id
    pool = pools.workers(client, settings.node_name, activities, adapters.secrets, build)
    await stack.enter_async_context(pools.serving(pool))
    if build:
        await versions.take_over(client, build)
    await _resume(stack, settings, adapters.store, watching, client)
    if settings.shares_store and settings.gateway.enabled:
        stack.callback(asyncio.create_task(follow(_together(settings, adapters))).cancel)


async def _resume(
    stack: AsyncExitStack, settings: Settings, store: SqlStore, watching: Watching, client: Client
) -> None:
    """What a former process has left. The watches of applications come last: they are many, and rarely busy."""
    runs = await former.running(client)
    watches = [run for run in runs if run.workflow_type == "HealthWatch"]
    others = [run for run in runs if run.workflow_type != "HealthWatch"]
    await former.release(client, settings.node_name, client.identity, others)
    await sweep(client, store, watching, {run.id for run in runs})
    later = former.release_later(client, settings.node_name, client.identity, watches)
    stack.callback(asyncio.create_task(later).cancel)


def clock() -> datetime:
    return datetime.now(UTC)


async def _until_told(settings: Settings, role: Role) -> None:
    logs.configure(settings.logging)
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    async with running(settings, role) as node:
        if node.url:
            print(f"IARNet is up.  API and docs: {node.url}/docs?token={node.token}", flush=True)
        else:
            print(f"IARNet is up.  This worker is the node {settings.node_name}.", flush=True)
        if node.ui:
            print(f"               Temporal:     {node.ui}", flush=True)
        await told.wait()


async def _adapters(stack: AsyncExitStack, settings: Settings) -> Adapters:
    store = await open_store(settings.database_url, clock)
    stack.push_async_callback(store.aclose)
    owner = await store.installation.owner(f"{settings.node_name}-{token_hex(3)}")
    secrets = SealedSecrets.open(store.secrets, settings.secrets.key_file)
    await secrets.check()
    logs.configure(settings.logging, secrets.redact)
    sources = analysing.git_sources(settings, secrets, settings.workspace_dir, store.facts.source_of)
    providers = ProviderRegistry(
        node=settings.node_name,
        owner=owner,
        secrets=secrets,
        docker=DockerOptions(
            network_pool=settings.docker.network_pool,
            publish_address=settings.docker.publish_address,
            local=mode.local_provider(settings),
            gateway=settings.gateway.enabled,
            companion=base(settings),
        ),
    )
    stack.push_async_callback(providers.aclose)
    remotes = Remotes(settings, store, secrets)
    stack.push_async_callback(remotes.aclose)
    leading = await stack.enter_async_context(gateways(settings, store, secrets, remotes.gateways))
    monitors = NodeMonitors(partial(_monitor, settings, store, owner, leading))
    stack.push_async_callback(monitors.aclose)
    builder = LateBuilder(partial(_builder, settings, sources, secrets))
    issuers = NodeIssuers(settings, secrets, clock)
    return Adapters(owner, store, secrets, sources, providers, builder, leading, remotes, issuers, monitors)


def _attachments(settings: Settings, adapters: Adapters, client: Client, role: Role) -> Attachments:
    return Attachments(
        node=settings.node_name,
        providers=adapters.providers,
        store=adapters.store,
        monitors=adapters.monitors,
        builder=adapters.builder,
        remotes=adapters.remotes,
        client=client,
        local=mode.local_provider(settings),
        docker_urls=_docker_urls(settings),
        shared=settings.shares_store,
        attaches=role != "api",
        clock=clock,
    )


def _docker_urls(settings: Settings) -> tuple[str, ...]:
    """Where this machine's engine may be."""
    if not mode.looks_for_docker(settings):
        log.info("no Docker of this machine is used", mode=settings.mode, docker_host=settings.docker.host)
        return ()
    return (settings.docker.host,) if settings.docker.host else default_sockets(Path.home(), os.getuid())


def _builder(settings: Settings, sources: GitSources, secrets: SealedSecrets, docker_url: str) -> DockerBuilder:
    builds = settings.builds
    return DockerBuilder(
        docker_url,
        sources,
        clock=clock,
        network=builds.network,
        args=builds.args,
        base_images=builds.base_images,
        ca_bundle=builds.ca_bundle,
        proxy=builds.proxy,
        timeout_s=builds.timeout_s,
        redact=secrets.redact,
    )


def _monitor(
    settings: Settings, store: SqlStore, owner: str, leading: NodeGateways, provider: Provider
) -> ProviderMonitor:
    """What is kept back and capped is of this machine, so it concerns its own provider only."""

    def cap(total: Resources) -> Resources:
        if provider.info.origin != "internal":
            return total
        return settings.resource_limits.cap(total).minus(settings.system_reserve.resources())

    return ProviderMonitor(provider, store, owner, clock, cap, leading.get(provider.info.id))


def _activities(settings: Settings, adapters: Adapters, watching: Watching, client: Client) -> Activities:
    store, providers, secrets, sources = adapters.store, adapters.providers, adapters.secrets, adapters.sources
    node = settings.node_name
    revising = Revising(store, sources, secrets, adapters.builder.name_image, apply_corrections, clock)
    ports = HostPorts(store.ledger, settings.docker.port_range)
    planning = Planning(store, providers, ports, revising, adapters.owner, node, clock)
    sourcing = Sourcing(store, sources, secrets, adapters.builder, clock)
    analyzing = Analyzing(store, analysing.analyser(settings, sources))
    deploying = Deploying(store, providers, adapters.builder, adapters.gateways, adapters.monitors.handling)
    building = Building(store, adapters.builder)
    unnamed = partial(watch_certificate, client, changed=True)
    carrier = among_several(node, store, clock) if settings.shares_store else always(node)
    recording = Recording(store, carrier, "localhost", clock, unnamed)
    placing = Placing(carrier)
    together = _together(settings, adapters)
    reconciling = Reconciling(
        store,
        providers,
        adapters.gateways,
        secrets,
        adapters.owner,
        clock,
        start_change=watching.start_change,
        is_open=partial(is_open, client),
    )
    certifying = Certifying(store, secrets, together, adapters.issuers.by_kind, clock)
    return Activities(
        anywhere=[
            recording.begin_change,
            recording.analysed_commit,
            recording.finish_change,
            planning.prepare_change,
            placing.this_node,
            watching.targets,
            watching.give_up,
            watching.start_change,
            watching.change_is_open,
            watching.ensure_watch,
            watching.tell_watch,
            watching.home_of,
            watching.apps_on,
            certifying.look_at_domain,
            certifying.note_problem,
            certifying.forget_keys,
        ],
        here=[
            sourcing.import_source,
            sourcing.forget_source,
            analyzing.analyze_source,
            planning.select_providers,
            deploying.serve_app,
            deploying.deploy_instance,
            deploying.await_instance,
            deploying.remove_instance,
            deploying.release_provider,
            watching.mend_instance,
            certifying.issue_certificate,
            reconciling.reconcile_provider,
        ],
        watches=[watching.follow_provider],
        builds=[building.build_image],
    )


def _together(settings: Settings, adapters: Adapters) -> Together:
    return Together(adapters.gateways.all, adapters.store.traffic, mode.local_provider(settings))


def _projects(settings: Settings, adapters: Adapters) -> Projects:
    limits = settings.git
    return Projects(
        settings.workspace_dir,
        adapters.store.facts,
        adapters.sources,
        max_bytes=limits.max_bytes,
        max_files=limits.max_files,
    )


def _services(
    settings: Settings, adapters: Adapters, attachments: Attachments, connected: temporal.Connection, token: str
) -> Services:
    return Services(
        store=adapters.store,
        temporal=connected.client,
        providers=adapters.providers,
        secrets=adapters.secrets,
        token=token,
        node=settings.node_name,
        owner=adapters.owner,
        namespace=settings.temporal.namespace,
        clock=clock,
        add_provider=attachments.add,
        remove_provider=attachments.remove,
        replay=partial(replaying.replay, connected.client),
        analyze=analysing.unimported(settings, adapters.secrets).analyze,
        gateway=_together(settings, adapters) if settings.gateway.enabled or not attachments.attaches else None,
        http_port=settings.gateway.http_port,
        https_port=settings.gateway.https_port,
        authority=adapters.issuers.authority,
        temporal_ui=connected.ui,
        allowed_hosts=(*settings.allowed_hosts, settings.api_address.host),
    )
