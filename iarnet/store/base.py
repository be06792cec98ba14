"""What the node remembers. Two implementations of one SQL schema: SQLite and PostgreSQL."""

from typing import Protocol

from iarnet.models.analysis import Analysis
from iarnet.models.app import App, AppStatus, Event, Revision, Settings
from iarnet.models.change import Begin, Deployment, DeploymentStatus, Failure, Progress
from iarnet.models.instance import Instance, InstanceSpec
from iarnet.models.lease import Lease
from iarnet.models.plan import Plan
from iarnet.models.provider import ProviderRegistration, ProviderState
from iarnet.models.resources import Resources
from iarnet.models.source import GitSource, Source


class Apps(Protocol):
    async def create(self, name: str, git: GitSource, title: str = "") -> App:
        """Raises `AlreadyExists` when the name is taken by another source; the same source is returned as is."""
        ...

    async def get(self, name: str) -> App:
        """Raises `NotFound`."""
        ...

    async def list(self) -> list[App]: ...

    async def set_status(self, name: str, status: AppStatus, epoch: int | None = None) -> None:
        """With `epoch`, raises `StaleEpoch` when a newer change has begun."""
        ...

    async def set_running(self, name: str, revision: int, commit: str, epoch: int) -> None: ...

    async def set_settings(self, name: str, settings: Settings) -> None: ...

    async def set_git(self, name: str, git: GitSource) -> None: ...

    async def delete(self, name: str) -> None:
        """The app and everything that is recorded of it, but its events and deployments."""
        ...


class Facts(Protocol):
    """What activities record, idempotently."""

    async def begin(self, begin: Begin) -> Deployment:
        """Raise the app's epoch and record the deployment; the same `run_id` gives the same deployment again.

        Creates the app when `begin.git` is given and there is none.
        """
        ...

    async def finish(
        self, deployment_id: str, status: DeploymentStatus, progress: Progress, failure: Failure | None
    ) -> None: ...

    async def save_progress(self, deployment_id: str, progress: Progress) -> None: ...

    async def deployment(self, deployment_id: str) -> Deployment: ...

    async def deployments(self, app: str, limit: int = 50) -> list[Deployment]:
        """Newest first."""
        ...

    async def save_plan(self, deployment_id: str, plan: Plan) -> None: ...

    async def plan(self, deployment_id: str) -> Plan | None: ...

    async def save_source(self, source: Source) -> None: ...

    async def source(self, app: str, commit: str = "") -> Source | None:
        """Without `commit`, the newest."""
        ...

    async def save_analysis(self, app: str, analysis: Analysis) -> None: ...

    async def analysis(self, app: str, tree: str) -> Analysis | None: ...

    async def save_revision(self, revision: Revision) -> None:
        """Immutable: saving a number again with other content raises `Conflict`."""
        ...

    async def revision(self, app: str, number: int) -> Revision | None: ...

    async def revisions(self, app: str) -> list[Revision]:
        """Newest first."""
        ...

    async def add_event(self, event: Event) -> Event: ...

    async def events(self, app: str | None = None, after: int = 0, limit: int = 200) -> list[Event]: ...

    async def save_build_log(self, app: str, component: str, image: str, lines: tuple[str, ...]) -> None: ...

    async def build_log(self, app: str, component: str) -> tuple[str, ...]: ...


class Instances(Protocol):
    """Intent and last known fact of each instance. A row is there before the provider is called."""

    async def intend(self, spec: InstanceSpec, provider_id: str) -> None:
        """Raises `StaleEpoch`."""
        ...

    async def spec(self, name: str) -> InstanceSpec | None: ...

    async def record(self, instance: Instance) -> None: ...

    async def list(self, app: str | None = None, provider_id: str | None = None) -> list[Instance]: ...

    async def forget(self, name: str) -> None: ...


class ProviderRows(Protocol):
    async def register(self, registration: ProviderRegistration) -> None:
        """Raises `AlreadyExists` when the id is taken by another registration."""
        ...

    async def registrations(self) -> list[ProviderRegistration]: ...

    async def unregister(self, provider_id: str) -> None: ...

    async def save_state(self, state: ProviderState) -> None: ...

    async def states(self) -> list[ProviderState]: ...


class Ledger(Protocol):
    """Who may use how much of which provider. One transaction a call, never oversubscribed."""

    async def reserve(self, leases: list[Lease], limits: dict[str, Resources]) -> None:
        """All or none. `limits` maps provider to what it has for us. Idempotent by lease id.

        Raises `NoRoom` naming the provider and what is short.
        """
        ...

    async def activate(self, lease_id: str) -> None: ...

    async def release(self, lease_ids: list[str]) -> None: ...

    async def leases(self, provider_id: str | None = None, app: str | None = None) -> list[Lease]:
        """Expired reservations are not among them."""
        ...

    async def claim_port(self, provider_id: str, app: str, key: str, port: int) -> bool:
        """`key` is `{component}/{port}/{protocol}`. False when another app or key holds the port."""
        ...

    async def ports(self, provider_id: str) -> dict[int, tuple[str, str]]:
        """Host port -> (app, key)."""
        ...

    async def release_ports(self, app: str, keep: set[tuple[str, str]] | None = None) -> None:
        """All of the app's but those in `keep` (provider, key)."""
        ...


class Store(Protocol):
    apps: Apps
    facts: Facts
    instances: Instances
    providers: ProviderRows
    ledger: Ledger

    async def aclose(self) -> None: ...
