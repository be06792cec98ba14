"""Workflows that do what a setting tells them, so that the command line can be seen in every situation."""

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from iarnet.errors import InstanceExited, NothingToRun
    from iarnet.models.change import (
        AnalyzeRequest,
        AnalyzeResult,
        ChangeRequest,
        ChangeResult,
        ComponentProgress,
        ImportRequest,
        ImportResult,
        Progress,
    )
    from iarnet.models.instance import InstanceSpec
    from iarnet.models.plan import Kept, Operation, Plan
    from iarnet.models.reconciliation import Finding, ProviderReport, Reconciliation

COMMIT = "e" * 40


class Change:
    def __init__(self) -> None:
        self._progress = Progress(app="none")

    @workflow.query
    def progress(self) -> Progress:
        return self._progress

    async def change(self, request: ChangeRequest) -> ChangeResult:
        web = ComponentProgress(component="web", phase="starting", detail="waiting for port 80")
        self._progress = Progress(app=request.app, revision=2, step="deploying", components=(web,))
        how = request.settings.get("web.env.HOW", "")
        if how == "hang":
            await workflow.wait_condition(lambda: False)
        if how == "fail":
            error = InstanceExited(
                "exited with 3", component="web", hint="read its log", log=("Traceback", "\x1b[2Jboom")
            )
            raise ApplicationError(error.message, error.details(), type=error.code, non_retryable=True)
        return ChangeResult(
            app=request.app,
            deployment_id=f"{request.app}.2",
            revision=2,
            status="succeeded",
            addresses={"web": "http://localhost:20080"},
            duration_s=1.5,
            notes=(request.model_dump_json(exclude_defaults=True),),
        )


@workflow.defn(name="DeployApp", sandboxed=False)
class Deploy(Change):
    @workflow.run
    async def run(self, request: ChangeRequest) -> ChangeResult:
        return await self.change(request)


@workflow.defn(name="StopApp", sandboxed=False)
class Stop(Change):
    @workflow.run
    async def run(self, request: ChangeRequest) -> ChangeResult:
        return await self.change(request)


@workflow.defn(name="DeleteApp", sandboxed=False)
class Delete(Change):
    @workflow.run
    async def run(self, request: ChangeRequest) -> ChangeResult:
        return await self.change(request)


@workflow.defn(name="ImportApp", sandboxed=False)
class Import:
    @workflow.run
    async def run(self, request: ImportRequest) -> ImportResult:
        return ImportResult(app=request.app, commit=COMMIT, tree=COMMIT, changed=True)


@workflow.defn(name="AnalyzeApp", sandboxed=False)
class Analyze:
    @workflow.run
    async def run(self, request: AnalyzeRequest) -> AnalyzeResult:
        if request.app == "idle":
            error = NothingToRun("no component was found", hint="add a Dockerfile")
            raise ApplicationError(error.message, error.details(), type=error.code, non_retryable=True)
        return AnalyzeResult(app=request.app, tree=COMMIT, components=("web",), edges=0, cached=True)


@workflow.defn(name="PlanChange", sandboxed=False)
class PlanOf:
    @workflow.run
    async def run(self, request: ChangeRequest) -> Plan:
        spec = InstanceSpec(
            name="iarnet-shop-web-r2-0",
            app="shop",
            component="web",
            kind="web",
            owner="here",
            revision=2,
            replica=0,
            epoch=2,
            image="nginx",
        )
        deploy = Operation(
            id="1",
            kind="deploy",
            component="web",
            provider_id="memory",
            instance=spec.name,
            spec=spec,
            reason="new image",
        )
        kept = Kept(instance="iarnet-shop-db-r1-0", component="db", provider_id="memory")
        return Plan(
            app="shop",
            revision=2,
            previous_revision=1,
            cause="deploy",
            operations=() if request.settings.get("web.env.HOW") == "same" else (deploy,),
            kept=(kept,),
            notes=("web publishes a port: it is stopped first",),
        )


@workflow.defn(name="Reconcile", sandboxed=False)
class Reconcile:
    """An orphan is removed; data can't be."""

    @workflow.run
    async def run(self, order: Reconciliation) -> ProviderReport:
        orphan = Finding(
            kind="instance", name="iarnet-gone-web-r1-0", app="gone", action="remove", reason="gone is gone"
        )
        data = Finding(kind="volume", name="db/data", app="gone", action="keep", reason="gone is gone")
        if not order.dry_run:
            orphan = orphan.model_copy(update={"outcome": "done"})
        if order.remove_volumes:
            failed = {} if order.dry_run else {"outcome": "failed", "problem": "in use by a stranger"}
            data = data.model_copy(update={"action": "remove", **failed})
        return ProviderReport(provider_id=order.provider_id, findings=(orphan, data))


WORKFLOWS = [Deploy, Stop, Delete, Import, Analyze, PlanOf, Reconcile]
