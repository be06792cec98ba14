"""What should run and does not: asked once, when a node starts."""

import structlog
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError, RPCStatusCode

from activities.certifying import watch_certificate
from activities.options import QUEUE
from activities.watching import Watching
from iarnet.models.change import ChangeRequest
from iarnet.models.provider import ProviderInfo
from iarnet.models.work import ProviderWatchState
from iarnet.store.base import Store

log = structlog.get_logger()

_RUNS = ("running", "degraded", "failed")
_CHANGES = ("deploying", "stopping", "deleting")


async def watch_provider(client: Client, info: ProviderInfo) -> None:
    """`provider.{id}` runs."""
    await client.start_workflow(
        "ProviderWatch",
        ProviderWatchState(provider_id=info.id, home=info.home),
        id=f"provider.{info.id}",
        task_queue=QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        static_summary=f"watches {info.name}",
    )


async def sweep(client: Client, store: Store, watching: Watching) -> None:
    """Watches of what runs and of certificates, and a change with cause `recover` for an app whose change is gone."""
    for app in await store.apps.list():
        if app.status in _RUNS and app.revision:
            await watching.ensure_watch(app.name)
        if app.status in _CHANGES and not await _is_open(client, f"change.{app.name}"):
            log.warning("a change has disappeared", app=app.name, status=app.status)
            await watching.start_change(ChangeRequest(app=app.name, cause="recover", fetch=False))
    for domain in await store.domains.list():
        if domain.certificate != "none":
            await watch_certificate(client, domain.host)


async def _is_open(client: Client, workflow_id: str) -> bool:
    try:
        description = await client.get_workflow_handle(workflow_id).describe()
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            return False
        raise
    return description.close_time is None
