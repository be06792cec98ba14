"""An application as a person looks at it: what it should be, what runs of it, and where it answers."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from iarnet.models.analysis import Analysis, Warning
from iarnet.models.app import App, AppStatus, Revision
from iarnet.models.base import Time, Value
from iarnet.models.change import ComponentProgress, Deployment
from iarnet.models.component import Component, ComponentKind, Port
from iarnet.models.edge import Edge
from iarnet.models.instance import Instance
from iarnet.models.provider import ProviderState
from iarnet.models.resources import Resources
from iarnet.models.source import GitSource
from iarnet.models.traffic import RecentTraffic, Service
from iarnet.store.base import Store

ComponentState = Literal["idle", "changing", "running", "degraded", "completed", "stopped", "failed"]
CHANGING = {"waiting", "building", "starting", "removing"}


class ComponentView(Value):
    """`state` counts what runs against `replicas`; `phase` and `detail` tell of a change that runs now.

    `traffic` is None where the gateway does not lead it, or has led nobody there.
    """

    name: str
    kind: ComponentKind
    language: str | None = None
    framework: str | None = None
    state: ComponentState
    phase: str = ""
    detail: str = ""
    replicas: int
    provider_id: str = ""
    image: str = ""
    resources: Resources
    addresses: tuple[str, ...] = ()
    instances: tuple[Instance, ...] = ()
    traffic: RecentTraffic | None = None


class AppTraffic(Value):
    """What users have asked of what is published, in the last minute: None where they have asked nothing.

    `error_share` is between 0 and 1.
    """

    requests_per_s: float
    mean_s: float | None
    error_share: float | None


class AppView(Value):
    """`addresses` maps each component that publishes a port to where it answers, `http://host:port`."""

    name: str = Field(examples=["shop"])
    title: str = ""
    git: GitSource
    status: AppStatus
    commit: str | None = None
    revision: int = 0
    components: tuple[ComponentView, ...] = ()
    edges: tuple[Edge, ...] = ()
    addresses: dict[str, str] = Field(default={}, examples=[{"web": "http://localhost:32768"}])
    deployment: Deployment | None = None
    warnings: tuple[Warning, ...] = ()
    traffic: AppTraffic | None = None
    created_at: Time
    updated_at: Time


@dataclass(frozen=True, kw_only=True)
class Known:
    """Everything that the store knows of one app."""

    app: App
    revision: Revision | None
    analysis: Analysis | None
    deployment: Deployment | None
    instances: list[Instance]
    services: list[Service]
    hosts: dict[str, str]


async def view(store: Store, name: str) -> AppView:
    """Raises `NotFound`."""
    return compose(await known(store, await store.apps.get(name), hosts(await store.providers.states())))


async def views(store: Store) -> list[AppView]:
    where = hosts(await store.providers.states())
    return [compose(await known(store, app, where)) for app in await store.apps.list()]


async def known(store: Store, app: App, where: dict[str, str]) -> Known:
    deployments = await store.facts.deployments(app.name, limit=1)
    return Known(
        app=app,
        revision=await current_revision(store, app),
        analysis=await newest_analysis(store, app.name),
        deployment=deployments[0] if deployments else None,
        instances=[i for i in await store.instances.list(app=app.name) if i.state != "removed"],
        services=await store.traffic.services(app.name),
        hosts=where,
    )


async def current_revision(store: Store, app: App) -> Revision | None:
    """The one that runs, or the newest when none does."""
    if app.revision:
        return await store.facts.revision(app.name, app.revision)
    return next(iter(await store.facts.revisions(app.name, limit=1)), None)


async def newest_analysis(store: Store, app: str) -> Analysis | None:
    source = await store.facts.source(app)
    return await store.facts.analysis(app, source.part) if source else None


def hosts(states: Iterable[ProviderState]) -> dict[str, str]:
    return {s.info.id: s.info.host for s in states}


def compose(known: Known) -> AppView:
    source = known.revision or known.analysis
    components = tuple(_component(known, c) for c in source.components) if source else ()
    return AppView(
        **known.app.model_dump(include={"name", "title", "status", "commit", "revision", "created_at", "updated_at"}),
        git=known.app.git,
        components=components,
        edges=source.edges if source else (),
        addresses={c.name: c.addresses[0] for c in components if c.addresses},
        deployment=known.deployment,
        warnings=known.analysis.warnings if known.analysis else (),
    )


def _component(known: Known, component: Component) -> ComponentView:
    own = tuple(i for i in known.instances if i.component == component.name)
    now = _progress(known.deployment, component.name)
    revision = known.revision
    return ComponentView(
        **component.model_dump(include={"name", "kind", "language", "framework", "replicas"}),
        state=_state(known.app, component, own, now),
        phase=now.phase if now else "",
        detail=now.detail if now else "",
        provider_id=own[0].provider_id if own else "",
        image=(revision.images.get(component.name) if revision else None) or component.image or "",
        resources=component.resources,
        addresses=tuple(a for i in own for a in _direct(i, component, known.hosts)) + _served(known, own),
        instances=own,
    )


def _progress(deployment: Deployment | None, component: str) -> ComponentProgress | None:
    """What the newest change says of the component, while it runs or when it failed and was not undone."""
    if deployment is None or deployment.progress is None or deployment.status not in ("running", "failed"):
        return None
    return next((c for c in deployment.progress.components if c.component == component), None)


def _state(
    app: App, component: Component, own: tuple[Instance, ...], now: ComponentProgress | None
) -> ComponentState:
    if now and now.phase in CHANGING and app.status in ("deploying", "stopping", "deleting"):
        return "changing"
    if now and now.phase == "failed":
        return "failed"
    if not own:
        return "stopped" if app.revision or app.status == "stopped" else "idle"
    if component.kind == "job" and all(i.state == "exited" and i.exit_code == 0 for i in own):
        return "completed"
    running = sum(i.state == "running" for i in own)
    if running >= component.replicas:
        return "running"
    return "degraded" if running else "failed"


def _direct(instance: Instance, component: Component, hosts: dict[str, str]) -> list[str]:
    """What it publishes itself, where no gateway does."""
    if instance.state != "running":
        return []
    published = [(p.host_port, _protocol(component.ports, p.port)) for p in instance.ports if p.host_port]
    return [_address(hosts, instance.provider_id, port, protocol) for port, protocol in published]


def _served(known: Known, own: tuple[Instance, ...]) -> tuple[str, ...]:
    """What the gateway publishes for those that run."""
    running = {(i.component, i.provider_id) for i in own if i.state == "running"}
    return tuple(
        _address(known.hosts, s.provider_id, s.host_port, s.protocol)
        for s in known.services
        if s.host_port and (s.component, s.provider_id) in running
    )


def _protocol(ports: tuple[Port, ...], number: int) -> str:
    return next((p.protocol for p in ports if p.port == number), "tcp")


def _address(hosts: dict[str, str], provider_id: str, port: int, protocol: str) -> str:
    host = hosts.get(provider_id, "localhost") or "localhost"
    host = f"[{host}]" if ":" in host else host
    return f"{'ws' if protocol == 'websocket' else protocol}://{host}:{port}"
