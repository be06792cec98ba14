"""What the node remembers. Two implementations of one SQL schema: SQLite and PostgreSQL.

Every call is one transaction. All raise `StoreUnavailable` (retryable) when the database does not answer, and
those that record something of an app `NotFound` when the app is gone.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Protocol

from iarnet.models.analysis import Analysis
from iarnet.models.app import App, AppStatus, Event, Revision, Settings
from iarnet.models.change import Begin, Deployment, DeploymentStatus, Failure, Progress
from iarnet.models.domains import Certificate, Challenge, Domain
from iarnet.models.instance import Instance, InstanceSpec
from iarnet.models.lease import Lease, Place
from iarnet.models.plan import Plan
from iarnet.models.provider import ProviderRegistration, ProviderState
from iarnet.models.resources import Resources
from iarnet.models.source import GitSource, Source
from iarnet.models.traffic import Endpoint, EndpointState, Route, Service

Clock = Callable[[], datetime]


class Apps(Protocol):
    async def create(self, name: str, git: GitSource, title: str = "") -> App:
        """The new app, or the one that has this name and repository.

        That takes the ref, the folder and, when one is given, the credential of `git`. Raises `AlreadyExists`
        when the name is taken by another repository, `InvalidInput` when it can't be a name.
        """
        ...

    async def get(self, name: str) -> App:
        """Raises `NotFound`."""
        ...

    async def list(self) -> list[App]: ...

    async def set_status(self, name: str, status: AppStatus, epoch: int | None = None) -> None:
        """With `epoch`, raises `StaleEpoch` when a newer change has begun."""
        ...

    async def set_running(self, name: str, revision: int, commit: str, epoch: int) -> None:
        """Status `running` at this revision. Raises `StaleEpoch`."""
        ...

    async def set_settings(self, name: str, settings: Settings) -> None: ...

    async def set_git(self, name: str, git: GitSource) -> None: ...

    async def delete(self, name: str) -> None:
        """The app and everything that is recorded of it, but its events, deployments and secrets.

        An app of the same name that is made later goes on with its numbers and epochs.
        """
        ...


class Facts(Protocol):
    """What activities record, idempotently."""

    async def begin(self, begin: Begin) -> Deployment:
        """Raise the app's epoch and record the deployment; the same `run_id` gives the same deployment again.

        Creates the app when `begin.git` is given and there is none; otherwise as `Apps.create`. Sets the app's
        status by the cause, and marks an older deployment that still runs as failed: its run was terminated.
        Raises `NotFound`, `AlreadyExists`.
        """
        ...

    async def finish(
        self, deployment_id: str, status: DeploymentStatus, progress: Progress, failure: Failure | None
    ) -> None:
        """With a deletion that has succeeded its app is gone, as by `Apps.delete`.

        Again with the same status changes nothing. Raises `StaleEpoch` when a newer deployment has begun.
        """
        ...

    async def save_progress(self, deployment_id: str, progress: Progress) -> None:
        """Ignored once it is finished. Raises `StaleEpoch` when a newer deployment has begun."""
        ...

    async def deployment(self, deployment_id: str) -> Deployment:
        """Raises `NotFound`."""
        ...

    async def run(self, run_id: str) -> Deployment | None:
        """The one that this run has begun."""
        ...

    async def deployments(self, app: str, limit: int = 50) -> list[Deployment]:
        """Newest first."""
        ...

    async def proven(self, app: str) -> int:
        """The epoch of its last change that ended well; 0 when there is none."""
        ...

    async def save_plan(self, deployment_id: str, plan: Plan) -> None: ...

    async def plan(self, deployment_id: str) -> Plan | None: ...

    async def save_source(self, source: Source) -> None: ...

    async def source(self, app: str, commit: str = "") -> Source | None:
        """Without `commit`, the newest."""
        ...

    async def source_of(self, app: str, tree: str) -> Source | None:
        """The newest with that tree."""
        ...

    async def save_analysis(self, app: str, analysis: Analysis) -> None: ...

    async def analysis(self, app: str, tree: str) -> Analysis | None: ...

    async def save_revision(self, revision: Revision) -> None:
        """Immutable: saving a number again with other content (the time aside) raises `Conflict`."""
        ...

    async def revision(self, app: str, number: int) -> Revision | None: ...

    async def revisions(self, app: str, limit: int | None = None) -> list[Revision]:
        """Newest first; all of them without a `limit`."""
        ...

    async def add_event(self, event: Event) -> Event:
        """With its number: greater than that of every event that a reader can have seen."""
        ...

    async def events(self, app: str | None = None, after: int = 0, limit: int = 200) -> list[Event]:
        """Oldest first, those with a greater number than `after`."""
        ...

    async def save_build_log(self, app: str, component: str, image: str, lines: tuple[str, ...]) -> None:
        """Replaces the component's earlier one; the last 2,000 lines are kept."""
        ...

    async def build_log(self, app: str, component: str) -> tuple[str, ...]:
        """Empty when there is none."""
        ...


class Instances(Protocol):
    """Intent and last known fact of each instance. A row is there before the provider is called."""

    async def intend(self, spec: InstanceSpec, provider_id: str, *, lease: str = "") -> None:
        """With `lease`, that one is activated in the same transaction, as `Ledger.activate` does.

        Raises `StaleEpoch` when a newer change of the app has begun, `NotFound` when the app is gone, and
        `SpecMismatch` when the name is that of another app's instance there.
        """
        ...

    async def spec(self, name: str) -> InstanceSpec | None:
        """As it was intended last."""
        ...

    async def record(self, instance: Instance) -> None:
        """The newest stays: what tells of an older epoch or an earlier start is ignored.

        So is an instance that nobody intended there, or that was forgotten: a late event brings nothing back.
        """
        ...

    async def list(
        self, app: str | None = None, provider_id: str | None = None, names: Collection[str] | None = None
    ) -> list[Instance]:
        """As recorded last; `pending` when the provider has not said anything yet."""
        ...

    async def forget(self, name: str, provider_id: str | None = None, *, lease: str = "") -> None:
        """With `provider_id`, only there: during a move the same name is on two providers. With `lease`, that one is
        released in the same transaction."""
        ...


class ProviderRows(Protocol):
    async def register(self, registration: ProviderRegistration) -> None:
        """Raises `AlreadyExists` when the id is taken by another registration."""
        ...

    async def registrations(self) -> list[ProviderRegistration]: ...

    async def unregister(self, provider_id: str) -> None:
        """Also its state. Nothing there is fine."""
        ...

    async def save_state(self, state: ProviderState) -> None:
        """The one seen last stays."""
        ...

    async def states(self) -> list[ProviderState]: ...

    async def claim(self, state: ProviderState) -> str:
        """The home of this provider: that of `state` unless another node was first. Of several at once, one is."""
        ...


class Ledger(Protocol):
    """Who may use how much of which provider. One transaction a call, never oversubscribed."""

    async def reserve(self, leases: list[Lease], limits: dict[str, Resources]) -> None:
        """All or none. `limits` maps provider to what it has for us: memory, storage and GPU are counted.

        Idempotent by lease id: again replaces it, keeps it active when it is, and never refuses what it holds
        already. Raises `NoRoom` naming the provider and what is short, `SpecMismatch` when an id is another app's.
        """
        ...

    async def activate(self, lease_id: str) -> None:
        """From now on it doesn't expire. Raises `NotFound` when it did and somebody has reserved there since."""
        ...

    async def release(self, lease_ids: list[str]) -> None:
        """Nothing there is fine."""
        ...

    async def leases(self, provider_id: str | None = None, app: str | None = None) -> list[Lease]:
        """Expired reservations are not among them."""
        ...

    async def reserved(self) -> dict[str, Resources]:
        """What the leases of each provider come to; nothing of one that has none."""
        ...

    async def claim_port(
        self, provider_id: str, app: str, key: str, place: Place, given_up: Collection[str] = ()
    ) -> bool:
        """`key` is `{component}/{port}/{transport}`. False when another app holds the place, or another key of this
        one that isn't among those `given_up`.

        A key holds one place per provider: claiming another one gives the first back.
        """
        ...

    async def ports(self, provider_id: str) -> dict[Place, tuple[str, str]]:
        """Place -> (app, key)."""
        ...

    async def release_ports(self, app: str, keep: set[tuple[str, str]] | None = None) -> None:
        """All of the app's but those in `keep` (provider, key)."""
        ...


class Traffic(Protocol):
    """What leads to what. Every write raises `version`."""

    async def serve(self, app: str, provider_id: str, services: Sequence[Service]) -> None:
        """These are the app's services there, and no others. Endpoints of components that have none any more go.

        Raises `NotFound` when the app is gone, unless `services` is empty.
        """
        ...

    async def services(self, app: str | None = None, provider_id: str | None = None) -> list[Service]:
        """Sorted by name."""
        ...

    async def put_endpoint(self, endpoint: Endpoint) -> None:
        """Replaces what has its instance and provider. Raises `NotFound` when the app is gone."""
        ...

    async def set_endpoint_state(self, instance: str, state: EndpointState) -> None:
        """An unknown one is fine."""
        ...

    async def set_endpoint_weight(self, instance: str, weight: int) -> None:
        """An unknown one is fine."""
        ...

    async def endpoints(self, app: str | None = None, provider_id: str | None = None) -> list[Endpoint]:
        """Sorted by instance."""
        ...

    async def forget_endpoint(self, instance: str) -> None:
        """Nothing there is fine."""
        ...

    async def put_route(self, route: Route) -> None:
        """Replaces what has its id. Raises `NotFound` when the app is gone, `AlreadyExists` for another app's id."""
        ...

    async def routes(self, app: str | None = None) -> list[Route]:
        """Sorted by id."""
        ...

    async def delete_route(self, id: str) -> None:
        """Raises `NotFound`."""
        ...

    async def version(self) -> int:
        """Of services, endpoints, routes and `Domains` together; 0 before the first write."""
        ...


class Domains(Protocol):
    """Names, their certificates, and what proves them. Every write raises the version of `Traffic`."""

    async def put(self, domain: Domain) -> None:
        """Replaces what has its host. Raises `NotFound` when the app is gone, `AlreadyExists` for another app's."""
        ...

    async def get(self, host: str) -> Domain:
        """Raises `NotFound`."""
        ...

    async def delete(self, host: str) -> None:
        """Certificate and challenges go with it, as it goes with its app. Raises `NotFound`."""
        ...

    async def set_problem(self, host: str, problem: str) -> None:
        """An unknown host is fine."""
        ...

    async def put_certificate(self, certificate: Certificate) -> None:
        """Replaces the host's. Raises `NotFound` when the domain is gone."""
        ...

    async def certificate(self, host: str) -> Certificate | None: ...

    async def certificates(self) -> list[Certificate]:
        """Sorted by host."""
        ...

    async def put_challenge(self, challenge: Challenge) -> None:
        """Replaces what has its host and token. Raises `NotFound` when the domain is gone."""
        ...

    async def challenges(self) -> list[Challenge]:
        """Sorted by host and token."""
        ...

    async def delete_challenges(self, host: str) -> None:
        """Nothing there is fine."""
        ...

    async def list(self, app: str | None = None) -> list[Domain]:
        """Sorted by host."""
        ...


class SecretRows(Protocol):
    """Sealed values; only `iarnet.secrets` can open them."""

    async def put(self, name: str, sealed: bytes) -> None:
        """Replaces what has the name."""
        ...

    async def get(self, name: str) -> bytes | None: ...

    async def delete(self, prefix: str) -> None:
        """All whose name begins so, upper and lower case told apart."""
        ...

    async def names(self, prefix: str = "") -> list[str]:
        """Sorted."""
        ...


class Installation(Protocol):
    async def owner(self, proposed: str) -> str:
        """What everything that this installation makes is marked with: proposed first, then always the same."""
        ...


class Store(Protocol):
    @property
    def apps(self) -> Apps: ...

    @property
    def facts(self) -> Facts: ...

    @property
    def instances(self) -> Instances: ...

    @property
    def providers(self) -> ProviderRows: ...

    @property
    def ledger(self) -> Ledger: ...

    @property
    def traffic(self) -> Traffic: ...

    @property
    def domains(self) -> Domains: ...

    @property
    def installation(self) -> Installation: ...

    @property
    def secrets(self) -> SecretRows: ...

    async def aclose(self) -> None: ...
