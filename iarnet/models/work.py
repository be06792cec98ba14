"""What workflows hand to activities, one value each."""

from typing import Literal

from iarnet.models.base import AppName, Time, Value
from iarnet.models.change import ChangeRequest, Deployment, DeploymentStatus, Failure, Progress
from iarnet.models.domains import CertificateKind
from iarnet.models.plan import Operation
from iarnet.models.provider import ProviderEvent
from iarnet.models.traffic import HostName

ChangeKind = Literal["deploy", "stop", "delete"]


class Prepare(Value):
    """Plan a change, place it and, unless `dry_run`, reserve what it needs.

    `commit` is what was analysed for it: another import may end meanwhile. Without one, the newest.
    `compensation`: the plan undoes a change to the revision `undoes` (0: to nothing), and does not take the place of
    its plan.
    """

    deployment: Deployment
    request: ChangeRequest
    kind: ChangeKind = "deploy"
    commit: str = ""
    dry_run: bool = False
    compensation: bool = False
    undoes: int = 0


class Effect(Value):
    """One operation of a deployment, under its epoch."""

    app: AppName
    deployment_id: str
    epoch: int
    operation: Operation


class Outcome(Value):
    """The end of a change, to be recorded."""

    deployment: Deployment
    kind: ChangeKind
    status: DeploymentStatus
    progress: Progress
    failure: Failure | None = None
    notes: tuple[str, ...] = ()
    duration_s: float = 0.0


class Hold(Value):
    """A change takes components from the watch (`components` empty: all), or with `release` gives them back."""

    run_id: str
    components: tuple[str, ...] = ()
    release: bool = False


class Batch(Value):
    """Numbered changes on one provider, as its watcher saw them."""

    provider_id: str
    cursor: int
    events: tuple[ProviderEvent, ...] = ()
    status: Literal["active", "unreachable"] | None = None


class Attach(Value):
    """Follow a provider from `cursor` on; a newer `session` ends an older one."""

    provider_id: str
    session: str
    cursor: int = 0


class ProviderWatchState(Value):
    """What `ProviderWatch` carries over continue-as-new."""

    provider_id: str
    home: str
    cursor: int = 0
    status: Literal["active", "unreachable"] = "active"


class Restarts(Value):
    """The budget of one instance: when it was restarted, in seconds since the epoch, oldest first."""

    instance: str
    times: tuple[float, ...] = ()
    given_up: bool = False


class HealthWatchState(Value):
    """What `HealthWatch` carries over continue-as-new."""

    app: AppName
    holds: tuple[Hold, ...] = ()
    restarts: tuple[Restarts, ...] = ()
    pending: tuple[ProviderEvent, ...] = ()
    lost: tuple[str, ...] = ()
    heal: ChangeRequest | None = None


MendReason = Literal["died", "unhealthy", "asked"]


class Mend(Value):
    """Restart one instance in place, because it ended, does not answer, or somebody wants it."""

    app: AppName
    component: str
    instance: str
    provider_id: str
    reason: MendReason


class Mended(Value):
    """`ignored`: it is well or nobody wants it; `gone`: there is nothing to restart; `failed`: it did not come up."""

    outcome: Literal["restarted", "ignored", "gone", "failed"]
    detail: str = ""


class CertificateWatchState(Value):
    """What `CertificateWatch` carries over continue-as-new.

    `kind` is how it got the certificate, "" before the first. Since then there were `failures`, and nobody is asked
    before `again_at`.
    """

    host: HostName
    kind: CertificateKind | Literal[""] = ""
    failures: int = 0
    again_at: Time | None = None


class Upkeep(Value):
    """A domain and its certificate, if it has one. `kind` is "" when the domain is gone."""

    app: str = ""
    kind: CertificateKind | Literal[""] = ""
    renew_at: Time | None = None
    expires_at: Time | None = None


class Issue(Value):
    """Get a certificate for a host in this way."""

    host: HostName
    kind: CertificateKind


class Issued(Value):
    """`renew_at` None: there is none, because of `problem`. For `again_in_s` an authority wants to be left alone."""

    renew_at: Time | None = None
    problem: str = ""
    again_in_s: float = 0.0


class DomainProblem(Value):
    """Why a domain has no valid certificate, or soon won't; "" when all is well."""

    host: HostName
    problem: str = ""
