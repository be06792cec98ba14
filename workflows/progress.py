"""How a change tells its story: the query, and the table in the web UI."""

from temporalio import workflow

from iarnet.models.change import ComponentPhase, ComponentProgress, DeploymentStatus, Failure, Progress
from iarnet.models.plan import Operation, Plan

_MARK: dict[ComponentPhase, str] = {
    "healthy": "✅",
    "completed": "✅",
    "kept": "✅",
    "failed": "❌",
    "rolled-back": "↩️",
}

_GAP = "\u00a0" * 4


class Story:
    def __init__(self, app: str) -> None:
        self.progress = Progress(app=app)

    def step(self, step: str) -> None:
        self._become(step=step)

    def began(self, deployment_id: str) -> None:
        self._become(deployment_id=deployment_id)

    def planned(self, plan: Plan) -> None:
        """Every component of the plan, in the order of the operations, kept ones last."""
        phases: dict[str, ComponentProgress] = {}
        for op in plan.operations:
            if op.component and op.component not in phases:
                phases[op.component] = ComponentProgress(
                    component=op.component, phase="waiting", detail=op.reason, provider_id=op.provider_id
                )
        for kept in plan.kept:
            phases.setdefault(
                kept.component,
                ComponentProgress(
                    component=kept.component,
                    phase="kept",
                    detail=kept.reason,
                    provider_id=kept.provider_id,
                    instance=kept.instance,
                ),
            )
        self._become(revision=plan.revision, components=tuple(phases.values()))

    def phase(self, operation: Operation, phase: ComponentPhase) -> None:
        """A component that has come up is not shown as removed when its old instance goes."""
        rows = []
        for row in self.progress.components:
            if row.component != operation.component:
                rows.append(row)
                continue
            leaving = phase in ("removing", "removed") and row.phase in ("healthy", "completed", "kept")
            rows.append(row if leaving else _row(row, operation, phase))
        self._become(components=tuple(rows))

    def undone(self, operation: Operation, phase: ComponentPhase) -> None:
        """A component that is brought back to what it was; the one that failed stays shown as that."""
        if phase not in ("healthy", "completed", "removed"):
            return
        rows = [
            _row(row, operation, "rolled-back")
            if row.component == operation.component and row.phase not in ("failed", "rolled-back")
            else row
            for row in self.progress.components
        ]
        self._become(components=tuple(rows))

    def left(self, not_undone: tuple[str, ...]) -> None:
        """What is there still, or again not, although the change was undone."""
        self._become(not_undone=not_undone)

    def ending(self, status: DeploymentStatus, failure: Failure | None) -> Progress:
        """What is to be recorded, while nobody is told yet."""
        return self.progress.model_copy(update={"status": status, "failure": failure, "step": ""})

    def ended(self, status: DeploymentStatus, failure: Failure | None) -> None:
        """With the run itself: whoever hears of it may start the next change."""
        self._become(status=status, failure=failure, step="")

    def failed(self, failure: Failure) -> None:
        self._become(failure=failure)

    def _become(self, **changes: object) -> None:
        self.progress = self.progress.model_copy(update=changes)
        workflow.set_current_details(_details(self.progress))


def _row(row: ComponentProgress, operation: Operation, phase: ComponentPhase) -> ComponentProgress:
    return row.model_copy(
        update={
            "phase": phase,
            "detail": operation.reason if phase != "failed" else f"{operation.kind} failed",
            "provider_id": operation.provider_id or row.provider_id,
            "instance": operation.instance or row.instance,
        }
    )


def _details(progress: Progress) -> str:
    """Markdown for the web UI."""
    lines = [f"**{progress.app}** revision {progress.revision or '–'}: {progress.step or progress.status}", ""]
    if progress.failure:
        lines += [f"**{progress.failure.code}**: {progress.failure.message} _{progress.failure.hint}_", ""]
        lines += ["```", *progress.failure.log[-15:], "```", ""] if progress.failure.log else []
    if progress.not_undone:
        lines += [*(f"- not undone: {what}" for what in progress.not_undone), ""]
    if progress.components:
        lines += [_cells("component", "state", "because", "on"), "|---" * 4 + "|"]
        lines += [
            _cells(c.component, f"{_MARK.get(c.phase, '⏳')}\u00a0{c.phase}", c.detail, c.provider_id)
            for c in progress.components
        ]
    return "\n".join(lines)


def _cells(*texts: str) -> str:
    """The web UI draws tables without any space between the columns, so each cell brings its own."""
    return "|" + "|".join(f" {text}{_GAP} " for text in texts) + "|"
