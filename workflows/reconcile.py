"""`Reconcile`, under an ID that begins with `reconcile.{provider}`: is there what should be, and nothing else?"""

from datetime import timedelta

from temporalio import workflow

from activities.options import RECONCILE, node_queue
from activities.reconciling import Reconciling, is_unfinished
from activities.watching import Watching
from iarnet.models.reconciliation import Finding, ProviderReport, Reconciliation
from workflows.attributes import found_by
from workflows.identity import require_id
from workflows.reaching import on_node

_PAUSE_S = 10.0


@workflow.defn
class Reconcile:
    """Compares a provider with the store and puts right what differs. Two at once do no harm."""

    @workflow.run
    async def run(self, order: Reconciliation) -> ProviderReport:
        require_id(f"reconcile.{order.provider_id}", f"reconcile.{order.provider_id}.*")
        home = await workflow.execute_local_activity_method(
            Watching.home_of, order.provider_id, start_to_close_timeout=timedelta(seconds=10)
        )
        found_by(node=home)
        report = await self._look(order, home)
        before: list[Finding] = []
        while order.looks > 1 and not order.dry_run and is_unfinished(report.findings):
            before += [finding for finding in report.findings if finding.outcome == "done"]
            await workflow.sleep(_PAUSE_S)
            order = order.model_copy(update={"looks": order.looks - 1})
            report = await self._look(order, home)
        return report.model_copy(update={"findings": (*before, *report.findings)})

    async def _look(self, order: Reconciliation, home: str) -> ProviderReport:
        report = await on_node(
            node_queue(home),
            Reconciling.reconcile_provider,
            order,
            summary=f"compare {order.provider_id} with the store",
            options=RECONCILE,
        )
        workflow.set_current_details(_details(report))
        return report


def _details(report: ProviderReport) -> str:
    """Markdown for the web UI."""
    rows = [f"| {f.kind} | {f.name} | {f.action} | {f.outcome} | {f.problem or f.reason} |" for f in report.findings]
    return "\n".join(["| | | | | |", "|---|---|---|---|---|", *rows]) if rows else "all as it should be"
