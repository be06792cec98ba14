"""The shapes and units of the requirement document (§3.4): cores, MiB for components, GiB for capacities."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from api.logs import LogEntry
from api.views import AppTraffic, AppView, ComponentState, ComponentView
from iarnet.models.analysis import Analysis
from iarnet.models.app import AppStatus
from iarnet.models.base import NUMBER, Value
from iarnet.models.provider import ProviderState
from iarnet.models.resources import GIB, MIB, Resources

Status = Literal["idle", "running", "stopped", "error", "deploying"]
STATUS: dict[AppStatus, Status] = {
    "idle": "idle",
    "deploying": "deploying",
    "running": "running",
    "degraded": "error",
    "stopping": "deploying",
    "stopped": "stopped",
    "failed": "error",
    "deleting": "deploying",
}
STATE: dict[ComponentState, Status] = {
    "idle": "idle",
    "changing": "deploying",
    "running": "running",
    "degraded": "error",
    "completed": "stopped",
    "stopped": "stopped",
    "failed": "error",
}
LEVELS = re.compile(r"\b(?:(error|fatal|critical|panic)|(warn(?:ing)?))\b", re.IGNORECASE)


class CapacityShape(Value):
    cpu: float = Field(description="cores", examples=[8.0])
    memory: float = Field(description="GiB", examples=[16.0])
    gpu: float = Field(description="devices", examples=[2.0])
    storage: float = Field(description="GiB", examples=[500.0])


class ProviderCapacity(Value):
    cpu: float = Field(description="cores", examples=[4.0])
    memory: float = Field(description="GiB", examples=[8.0])
    gpu: float = Field(description="devices", examples=[1.0])


class ProviderShape(Value):
    id: str = Field(examples=["local-docker"])
    name: str = Field(examples=["Local Docker"])
    type: str = Field(examples=["docker"])
    host: str = Field(examples=["localhost"])
    port: int = Field(examples=[2376])
    status: str = Field(examples=["active"])
    capacity: ProviderCapacity


class ProvidersShape(Value):
    providers: list[ProviderShape]


class ProviderCreation(Value):
    """`config` holds what the type needs; passwords, keys and tokens in it are sealed and never returned."""

    name: str = Field(min_length=1, max_length=100, examples=["K8s Cluster"])
    type: str = Field(max_length=20, examples=["k8s"])
    host: str = Field(pattern=r"^[A-Za-z0-9._:@\[\]-]*$", max_length=255, examples=["k8s.example.com"])
    port: Annotated[int, Field(ge=0, le=65535, examples=[6443]), NUMBER]
    config: dict[str, str] = Field(default={}, examples=[{"kubeconfig": "...", "namespace": "default"}])


class ApplicationShape(Value):
    id: str = Field(examples=["web-app"])
    name: str = Field(examples=["Web App"])
    git_url: str = Field(examples=["https://github.com/user/webapp.git"])
    status: Status
    components_count: int = Field(examples=[3])
    created_at: datetime


class ApplicationsShape(Value):
    applications: list[ApplicationShape]


class ApplicationCreation(Value):
    name: str = Field(min_length=1, max_length=100, examples=["My Web App"])
    git_url: str = Field(min_length=1, max_length=2048, examples=["https://github.com/user/webapp.git"])
    branch: str = Field(default="", max_length=255, examples=["main"])


class ApplicationCreated(ApplicationShape):
    """The application, and the run that imports it."""

    workflow_id: str
    run_id: str
    url: str
    follow: str


class Requirements(Value):
    cpu: float = Field(description="cores", examples=[1.0])
    memory: float = Field(description="MiB", examples=[512])
    gpu: float = Field(description="devices", examples=[0])


class DagEdge(Value):
    from_: str = Field(alias="from", examples=["frontend"])
    to: str = Field(examples=["backend"])
    type: str = Field(examples=["http"])


class AnalysedComponent(Value):
    id: str = Field(examples=["frontend"])
    name: str = Field(examples=["Frontend"])
    type: str = Field(examples=["web"])
    language: str | None = Field(examples=["javascript"])
    framework: str | None = Field(examples=["react"])
    requirements: Requirements


class Dag(Value):
    edges: list[DagEdge]


class FullDag(Dag):
    components: list[AnalysedComponent]


class AnalysisShape(Value):
    components: list[AnalysedComponent]
    dag: Dag


class ComponentSummary(Value):
    type: str
    status: Status
    provider_id: str


class Metrics(Value):
    """Of what is published, in the last minute; null where nothing is known (§5.3)."""

    requestsPerSecond: float | None = Field(default=None, examples=[12.5])
    responseTime: float | None = Field(default=None, description="mean, ms", examples=[8.2])
    errorRate: float | None = Field(default=None, description="%", examples=[0.5])


class ApplicationDetails(Value):
    """`local_path` names the folder of the repository that is deployed: files are read from Git, not from a disk."""

    id: str
    name: str
    git_url: str
    local_path: str
    status: Status
    components: dict[str, ComponentSummary]
    dag: FullDag
    metrics: Metrics


class ComponentShape(Value):
    id: str
    name: str
    type: str
    status: Status
    provider_id: str
    container_id: str
    resources: Requirements


class ComponentsShape(Value):
    components: list[ComponentShape]


class LogShape(Value):
    timestamp: datetime | None
    level: Literal["info", "warn", "error"] = Field(description="as the line itself says; info when it doesn't")
    message: str
    source: str


class LogsShape(Value):
    logs: list[LogShape]


def capacity(states: list[ProviderState]) -> CapacityShape:
    """What all providers that answer have together."""
    total = sum((s.capacity.total for s in states if s.status == "active"), Resources())
    return CapacityShape(
        cpu=total.cpu_millis / 1000,
        memory=round(total.memory_bytes / GIB, 3),
        gpu=total.gpu_millis / 1000,
        storage=round(total.storage_bytes / GIB, 3),
    )


def provider(state: ProviderState) -> ProviderShape:
    total, info = state.capacity.total, state.info
    room = ProviderCapacity(
        cpu=total.cpu_millis / 1000, memory=round(total.memory_bytes / GIB, 3), gpu=total.gpu_millis / 1000
    )
    return ProviderShape(
        id=info.id,
        name=info.name,
        type=info.type,
        host=info.host,
        port=info.port,
        status=state.status,
        capacity=room,
    )


def application(view: AppView) -> ApplicationShape:
    return ApplicationShape(
        id=view.name,
        name=view.title or view.name,
        git_url=view.git.url,
        status=STATUS[view.status],
        components_count=len(view.components),
        created_at=view.created_at,
    )


def details(view: AppView) -> ApplicationDetails:
    return ApplicationDetails(
        id=view.name,
        name=view.title or view.name,
        git_url=view.git.url,
        local_path=view.git.subdir or ".",
        status=STATUS[view.status],
        components={
            c.name: ComponentSummary(type=c.kind, status=STATE[c.state], provider_id=c.provider_id)
            for c in view.components
        },
        dag=FullDag(
            components=[analysed(c) for c in view.components],
            edges=[DagEdge.model_validate({"from": e.from_, "to": e.to, "type": e.type}) for e in view.edges],
        ),
        metrics=metrics(view.traffic),
    )


def metrics(traffic: AppTraffic | None) -> Metrics:
    if traffic is None:
        return Metrics()
    return Metrics(
        requestsPerSecond=round(traffic.requests_per_s, 2),
        responseTime=None if traffic.mean_s is None else round(traffic.mean_s * 1000, 2),
        errorRate=None if traffic.error_share is None else round(traffic.error_share * 100, 2),
    )


def component(view: ComponentView) -> ComponentShape:
    return ComponentShape(
        id=view.name,
        name=_titled(view.name),
        type=view.kind,
        status=STATE[view.state],
        provider_id=view.provider_id,
        container_id=view.instances[0].id if view.instances else "",
        resources=requirements(view.resources),
    )


def analysed(view: Any) -> AnalysedComponent:
    return AnalysedComponent(
        id=view.name,
        name=_titled(view.name),
        type=view.kind,
        language=view.language,
        framework=view.framework,
        requirements=requirements(view.resources),
    )


def analysis(found: Analysis) -> AnalysisShape:
    edges = [DagEdge.model_validate({"from": e.from_, "to": e.to, "type": e.type}) for e in found.edges]
    return AnalysisShape(components=[analysed(c) for c in found.components], dag=Dag(edges=edges))


def requirements(amount: Resources) -> Requirements:
    return Requirements(
        cpu=amount.cpu_millis / 1000, memory=round(amount.memory_bytes / MIB, 3), gpu=amount.gpu_millis / 1000
    )


def log_line(line: LogEntry) -> LogShape:
    found = LEVELS.search(line.text[:200])
    level: Literal["info", "warn", "error"] = "info" if found is None else "error" if found[1] else "warn"
    return LogShape(timestamp=line.time, level=level, message=line.text, source=line.instance)


def _titled(name: str) -> str:
    """`order-api` -> `Order Api`, as the documented examples have it."""
    return name.replace("-", " ").title()
