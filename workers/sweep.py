"""What should run and does not: asked once, when a node starts."""

import asyncio
from collections.abc import Container
from contextlib import suppress

import structlog
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from activities.certifying import watch_certificate
from activities.options import QUEUE
from activities.watching import Watching
from api.starter import import_id
from iarnet.models.app import App
from iarnet.models.change import ChangeRequest, ImportRequest
from iarnet.models.provider import ProviderInfo
from iarnet.models.work import ProviderWatchState
from iarnet.store.base import Store
from workflows.attributes import NODE

log = structlog.get_logger()

_RUNS = ("running", "degraded", "failed")
_CHANGES = ("deploying", "stopping", "deleting")
# A thousand applications one after the other would keep a node from being ready for seconds.
_AT_ONCE = 32


async def watch_provider(client: Client, info: ProviderInfo, *, added: bool = False) -> None:
    """`provider.{id}` runs, and knows the provider's home: the node may have another name than before.

    `added`: just now. Its watch of before may be ending still. The others are told only what they don't know: who is
    told something at a start is in the way of what has to go on.
    """
    watch = await client.start_workflow(
        "ProviderWatch",
        ProviderWatchState(provider_id=info.id, home=info.home),
        id=f"provider.{info.id}",
        task_queue=QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        static_summary=f"watches {info.name}",
    )
    if added or (await watch.describe()).typed_search_attributes.get(NODE) != info.home:
        await watch.signal("at", info.home)


async def sweep(client: Client, store: Store, watching: Watching, running: Container[str]) -> None:
    """Watches of what runs and of certificates, a change with cause `recover` for an app whose change is gone, and
    the import of an app whose creator died before it could start it.

    `running`: the IDs of the runs there are, so that a start costs nothing for each app that has its watch.
    """
    turns = asyncio.Semaphore(_AT_ONCE)

    async def looked_after(app: App) -> None:
        async with turns:
            await _look_after(app, client, store, watching, running)

    await asyncio.gather(*map(looked_after, await store.apps.list()))
    domains = await store.domains.list()
    for domain in domains:
        if domain.certificate != "none":
            await watch_certificate(client, domain.host)
    # Whoever deleted an app may have died before anybody heard that its names are gone.
    kept = {name.split("/")[1] for name in await store.secrets.names("tls/")}
    for host in kept - {domain.host for domain in domains}:
        await watch_certificate(client, host, changed=True)


async def _look_after(app: App, client: Client, store: Store, watching: Watching, running: Container[str]) -> None:
    if app.status == "idle" and await store.facts.source(app.name) is None:
        await _import(client, app)
    if app.status in _RUNS and app.revision and f"watch.{app.name}" not in running:
        await watching.ensure_watch(app.name)
    if app.status in _CHANGES and not await is_open(client, f"change.{app.name}"):
        log.warning("a change has disappeared", app=app.name, status=app.status)
        await watching.start_change(ChangeRequest(app=app.name, cause="recover", fetch=False))


async def _import(client: Client, app: App) -> None:
    """Unless it was tried: one that has failed is for a person to start again."""
    with suppress(WorkflowAlreadyStartedError):
        await client.start_workflow(
            "ImportApp",
            ImportRequest(app=app.name),
            id=import_id(app.name, app.git.ref),
            task_queue=QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            static_summary=f"import {app.name}",
        )


async def is_open(client: Client, workflow_id: str) -> bool:
    """Whether it runs."""
    try:
        description = await client.get_workflow_handle(workflow_id).describe()
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            return False
        raise
    return description.close_time is None
