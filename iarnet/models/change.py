"""What workflows take and return."""

from typing import Literal

from pydantic import Field

from iarnet.models.base import AppName, Time, Value
from iarnet.models.plan import Cause
from iarnet.models.source import GitSource

OnFailure = Literal["rollback", "hold", "auto"]


class ImportRequest(Value):
    """Without `git`, the source that the app has is fetched again."""

    app: AppName
    git: GitSource | None = None


class ImportResult(Value):
    app: AppName
    commit: str
    tree: str
    changed: bool


class AnalyzeRequest(Value):
    """Without `commit`, the newest that was imported."""

    app: AppName
    commit: str = ""


class AnalyzeResult(Value):
    app: AppName
    commit: str = ""
    tree: str
    components: tuple[str, ...]
    edges: int
    warnings: tuple[str, ...] = ()
    cached: bool


class SelectRequest(Value):
    """Where would these run? `reserve` holds the room for 60 s; without it nothing is written."""

    app: AppName
    components: tuple[str, ...] = ()
    reserve: bool = False
    n: int = Field(default=1, ge=1)


class ChangeRequest(Value):
    """The input of `DeployApp`, `StopApp` and `DeleteApp`.

    `revision`: go to that one (rollback) instead of making a new one. `fetch`: look for a new commit first.
    `components`: only these, and what they depend on. `settings`, `secrets` and `observed` are merged into the app's
    own.
    `on_failure` `auto` means `rollback` when an old revision runs, else `hold`.
    """

    app: AppName
    git: GitSource | None = None
    cause: Cause = "deploy"
    fetch: bool = True
    revision: int | None = None
    components: tuple[str, ...] = ()
    settings: dict[str, str] = {}
    secrets: dict[str, str] = {}
    observed: dict[str, str] = {}
    on_failure: OnFailure = "auto"
    avoid_providers: tuple[str, ...] = ()
    keep_data: bool = True
    request_id: str = ""


ComponentPhase = Literal[
    "waiting",
    "building",
    "starting",
    "healthy",
    "completed",
    "kept",
    "failed",
    "removing",
    "removed",
    "rolled-back",
]


class ComponentProgress(Value):
    component: str
    phase: ComponentPhase
    detail: str = ""
    provider_id: str = ""
    instance: str = ""


class Failure(Value):
    """Why a change failed: `code` is stable, `where` names the thing concerned (a file and line, a key), `log` holds
    the last lines of the instance that failed, `observed` the settings that fit what was seen instead, `not_undone`
    what is left of a change that was undone."""

    code: str
    message: str
    hint: str = ""
    where: str = ""
    component: str = ""
    log: tuple[str, ...] = ()
    observed: dict[str, str] = {}
    not_undone: tuple[str, ...] = ()


DeploymentStatus = Literal["running", "succeeded", "failed", "rolled-back", "cancelled"]


class Progress(Value):
    """The answer to the query `progress`, and what the web UI shows as the run's details.

    `not_undone`: what is left of a change that was undone, failed or cancelled.
    """

    app: AppName
    deployment_id: str = ""
    revision: int = 0
    status: DeploymentStatus = "running"
    step: str = ""
    components: tuple[ComponentProgress, ...] = ()
    failure: Failure | None = None
    not_undone: tuple[str, ...] = ()


class ChangeResult(Value):
    app: AppName
    deployment_id: str
    revision: int
    status: DeploymentStatus
    addresses: dict[str, str] = {}
    duration_s: float = 0.0
    notes: tuple[str, ...] = ()


class Deployment(Value):
    """One execution of a plan. `id` is `{app}.{number}`; `node` is where sources are read and images built; `trace`
    is the ID of its trace, where traces are kept (`telemetry.endpoint`)."""

    id: str
    app: AppName
    number: int
    epoch: int
    cause: Cause
    workflow_id: str
    run_id: str
    node: str = ""
    status: DeploymentStatus = "running"
    revision: int = 0
    previous_revision: int = 0
    progress: Progress | None = None
    failure: Failure | None = None
    started_at: Time
    finished_at: Time | None = None
    trace: str = ""


class Begin(Value):
    """The start of a change, in the store: a fresh epoch for the app."""

    app: AppName
    cause: Cause
    workflow_id: str
    run_id: str
    node: str = ""
    git: GitSource | None = None
    trace: str = ""


class Started(Value):
    """The answer to whoever started a workflow."""

    workflow_id: str
    run_id: str
    url: str = ""


class RestartRequest(Value):
    """Restart in place; without `component`, every one of the app."""

    component: str = ""


class ReplayReport(Value):
    """Whether today's code takes the decisions that a recorded run took; `difference` says where it would not."""

    workflow_id: str
    run_id: str
    same: bool
    difference: str = ""
