"""Workflows that end at once, under the real names: what an API starts has a real run, a result and a record."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.failures import FailureInterceptor
from iarnet.models.analysis import Analysis
from iarnet.models.change import (
    AnalyzeRequest,
    AnalyzeResult,
    Begin,
    ChangeRequest,
    ChangeResult,
    ImportRequest,
    ImportResult,
    Progress,
    RestartRequest,
)
from iarnet.models.plan import Plan
from iarnet.models.reconciliation import ProviderReport, Reconciliation
from iarnet.models.source import Source
from iarnet.secrets.base import Secrets
from iarnet.store.base import Clock, Store

COMMIT, TREE = "c" * 40, "d" * 40
SOON: Any = {"start_to_close_timeout": timedelta(seconds=10)}


@dataclass
class Facts:
    """Every repository is that of `analysis`."""

    store: Store
    analysis: Analysis
    clock: Clock

    @activity.defn
    async def import_source(self, request: ImportRequest) -> ImportResult:
        git = (await self.store.apps.get(request.app)).git
        source = Source(app=request.app, git=git, commit=COMMIT, tree=TREE, fetched_at=self.clock())
        await self.store.facts.save_source(source)
        return ImportResult(app=request.app, commit=COMMIT, tree=TREE, changed=True)

    @activity.defn
    async def analyze_source(self, request: AnalyzeRequest) -> AnalyzeResult:
        source = await self.store.facts.source(request.app)
        assert source is not None, "it is imported before it is analysed"
        analysis = self.analysis.model_copy(update={"tree": source.part})
        await self.store.facts.save_analysis(request.app, analysis)
        names = tuple(component.name for component in analysis.components)
        return AnalyzeResult(app=request.app, tree=TREE, components=names, edges=len(analysis.edges), cached=False)

    @activity.defn
    async def change(self, request: ChangeRequest, begin: Begin) -> ChangeResult:
        begun = await self.store.facts.begin(begin)
        progress = Progress(app=request.app, deployment_id=begun.id, status="succeeded")
        await self.store.facts.finish(begun.id, "succeeded", progress, None)
        if request.cause == "delete":
            await self.store.apps.delete(request.app)
        return ChangeResult(app=request.app, deployment_id=begun.id, revision=0, status="succeeded")


@workflow.defn(name="ImportApp")
class ImportApp:
    @workflow.run
    async def run(self, request: ImportRequest) -> ImportResult:
        return await workflow.execute_activity_method(Facts.import_source, request, **SOON)


@workflow.defn(name="AnalyzeApp")
class AnalyzeApp:
    @workflow.run
    async def run(self, request: AnalyzeRequest) -> AnalyzeResult:
        return await workflow.execute_activity_method(Facts.analyze_source, request, **SOON)


@workflow.defn(name="PlanChange")
class PlanChange:
    @workflow.run
    async def run(self, request: ChangeRequest) -> Plan:
        return Plan(app=request.app, revision=1, cause=request.cause, notes=request.components)


async def _change(request: ChangeRequest) -> ChangeResult:
    info = workflow.info()
    begin = Begin(app=request.app, cause=request.cause, workflow_id=info.workflow_id, run_id=info.run_id)
    return await workflow.execute_activity_method(Facts.change, args=[request, begin], **SOON)


@workflow.defn(name="DeployApp")
class DeployApp:
    @workflow.run
    async def run(self, request: ChangeRequest) -> ChangeResult:
        return await _change(request)


@workflow.defn(name="StopApp")
class StopApp:
    @workflow.run
    async def run(self, request: ChangeRequest) -> ChangeResult:
        return await _change(request)


@workflow.defn(name="DeleteApp")
class DeleteApp:
    @workflow.run
    async def run(self, request: ChangeRequest) -> ChangeResult:
        return await _change(request)


@workflow.defn(name="Reconcile")
class Reconcile:
    @workflow.run
    async def run(self, order: Reconciliation) -> ProviderReport:
        return ProviderReport(provider_id=order.provider_id)


@workflow.defn(name="HealthWatch")
class HealthWatch:
    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: False)

    @workflow.update
    def restart(self, request: RestartRequest) -> int:
        return 1


@workflow.defn(name="CertificateWatch")
class CertificateWatch:
    @workflow.run
    async def run(self, state: dict[str, Any]) -> None:
        pass

    @workflow.signal
    def changed(self) -> None:
        pass


@workflow.defn(dynamic=True)
class Unplayed:
    """Of any other type: without it, whoever waits for the result would wait in vain."""

    @workflow.run
    async def run(self, arguments: Sequence[RawValue]) -> None:
        raise ApplicationError(f"{workflow.info().workflow_type} is not played in {__name__}", non_retryable=True)


def player(temporal: Client, queue: str, facts: Facts, secrets: Secrets) -> Worker:
    return Worker(
        temporal,
        task_queue=queue,
        workflows=[
            *(ImportApp, AnalyzeApp, PlanChange, DeployApp, StopApp, DeleteApp),
            *(Reconcile, HealthWatch, CertificateWatch, Unplayed),
        ],
        activities=[facts.import_source, facts.analyze_source, facts.change],
        workflow_runner=UnsandboxedWorkflowRunner(),
        interceptors=[FailureInterceptor(secrets)],
    )
