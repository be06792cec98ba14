"""What is there against what is known: finding what differs, and putting it right."""

import asyncio
from collections.abc import Sequence

from fastapi import APIRouter

from api.bodies import PlainText, ReconcileBody
from api.deps import Given, Start, Watch
from api.errors import refusals
from api.runs import Runs
from api.starter import Starter
from iarnet.errors import Missing, NotFound, ProviderError
from iarnet.models.base import Value
from iarnet.models.provider import ProviderState
from iarnet.models.reconciliation import ProviderReport, Reconciliation
from iarnet.store.base import ProviderRows

router = APIRouter(prefix="/reconciliation", tags=["providers"])


class ReconciliationView(Value):
    """One report for each provider."""

    providers: list[ProviderReport]


@router.get(
    "",
    operation_id="planReconciliation",
    summary="What on the providers is not as it should be, and what would be done about it",
    responses=refusals(NotFound, Missing),
)
async def plan(
    given: Given, start: Start, watch: Watch, provider: PlainText = "", remove_volumes: bool = False
) -> ReconciliationView:
    states = await _asked(given.store.providers, provider)
    order = Reconciliation(provider_id="", dry_run=True, remove_volumes=remove_volumes)
    return await _carried_out(order, states, start, watch)


@router.post(
    "",
    operation_id="reconcile",
    summary="Put right what on the providers is not as it should be",
    responses=refusals(NotFound, Missing),
)
async def reconcile(
    given: Given, start: Start, watch: Watch, body: ReconcileBody = ReconcileBody()
) -> ReconciliationView:
    states = await _asked(given.store.providers, body.provider_id)
    return await _carried_out(
        Reconciliation(provider_id="", remove_volumes=body.remove_volumes), states, start, watch
    )


async def _asked(rows: ProviderRows, provider_id: str) -> list[ProviderState]:
    """All, or the one that is named. Raises `NotFound`."""
    states = await rows.states()
    found = [state for state in states if provider_id in ("", state.info.id)]
    if provider_id and not found:
        hint = "GET /api/v1/providers lists them"
        raise NotFound(f"there is no provider {provider_id!r}", where=provider_id, hint=hint)
    return found


async def _carried_out(
    order: Reconciliation, states: Sequence[ProviderState], start: Starter, watch: Runs
) -> ReconciliationView:
    orders = [order.model_copy(update={"provider_id": state.info.id}) for state in states]
    reports = [_one(order, state, start, watch) for order, state in zip(orders, states, strict=True)]
    return ReconciliationView(providers=list(await asyncio.gather(*reports)))


async def _one(order: Reconciliation, state: ProviderState, start: Starter, watch: Runs) -> ProviderReport:
    """A provider that can't be asked is said to be so, and keeps nothing from the others."""
    if state.status == "unreachable":
        problem = state.health.problem or "it does not answer"
        return ProviderReport(provider_id=order.provider_id, problem=problem, hint=state.health.hint)
    try:
        run = await start.reconcile(order)
        found: ProviderReport = await watch.result(run.workflow_id, run.run_id, ProviderReport)
    except ProviderError as error:
        return ProviderReport(provider_id=order.provider_id, problem=error.message, hint=error.hint)
    return found
