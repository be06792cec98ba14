"""Every refusal, as one tree. Each says what was wrong (`message`), where, and what to do next (`hint`).

IarnetError
├── Refused             400  the request can't be carried out as it is written
│   ├── InvalidInput         a value of the wrong form
│   │   └── InvalidCertificate 422  one that can't be used, or not for that name
│   ├── InvalidConfig        a configuration key or value
│   ├── InvalidUrl           a repository address that is not allowed
│   ├── InvalidComponent     a component description that contradicts itself
│   ├── NothingToRun    422  a repository in which analysis finds no component
│   ├── DependencyCycle 422  components that need each other in a circle
│   ├── MissingSetting  422  a required setting that nobody has given
│   ├── WrongWorkflowId      a workflow started under an ID that is not its lock
│   └── PayloadTooLarge 413  more than a workflow can carry
├── Unauthorized        401  no token, or not a valid one
├── Forbidden           403  a foreign Host or Origin
├── NotFound            404  no such app, component, provider, revision, deployment …
├── Conflict            409  at odds with what is there
│   ├── AlreadyExists        a name that is taken
│   ├── ChangeInProgress     another change of the app runs
│   ├── PortTaken            a host port that something else holds
│   ├── SpecMismatch         an object of this name exists and is not ours or not the same
│   └── StaleEpoch           a newer change has taken over
├── SourceError         502  the repository can't be had
│   ├── RepositoryNotFound
│   ├── RefNotFound
│   ├── AccessDenied
│   └── SourceTooLarge
├── BuildFailed         422  a Dockerfile that does not build
├── NoRoom              409  no provider can take a component
├── ProviderError       502  a provider answered with an error
│   ├── ProviderUnavailable  it can't be reached (retryable)
│   ├── NodeUnreachable      the node that owns it does not answer
│   ├── ImageUnavailable     an image that can't be had
│   └── ProviderRefused      it says no, and will again
├── InstanceFailed      422  it ended or never became ready
│   ├── InstanceExited
│   ├── NotReady
│   └── WrongPort            it listens elsewhere than it is said to
├── GatewayError        502  the data plane that leads traffic to instances
│   ├── GatewayUnavailable   it does not answer (retryable)
│   └── GatewayRefused  422  it does not accept a configuration; the last good one stays
├── AuthorityError      502  who signs certificates gives none
│   ├── AuthorityUnavailable 503  it does not answer
│   ├── AuthorityRefused 422  it says no, or could not convince itself that the name is ours
│   └── RateLimited     429  it was asked too often
├── Cancelled           409  somebody cancelled it
├── StoreUnavailable    503  the database does not answer (retryable)
└── Missing             503  a part of this machine that is needed and not there
"""

from typing import Any, ClassVar


class IarnetError(Exception):
    """`where` names the thing concerned (a file and line, a component, a key); `log` last lines of output; `observed`
    the settings that would fit what was seen."""

    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        where: str = "",
        hint: str = "",
        component: str = "",
        log: tuple[str, ...] = (),
        observed: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint
        self.component = component
        self.log = log
        self.observed = observed or {}

    @property
    def code(self) -> str:
        """Stable, the class name: `ChangeInProgress`."""
        return type(self).__name__

    def details(self) -> dict[str, Any]:
        """What travels with the error over every boundary, in JSON types."""
        return {
            "code": self.code,
            "message": self.message,
            "where": self.where,
            "hint": self.hint,
            "component": self.component,
            "log": list(self.log),
            **({"observed": self.observed} if self.observed else {}),
        }


class Refused(IarnetError):
    status = 400


class InvalidInput(Refused):
    pass


class InvalidCertificate(InvalidInput):
    status = 422


class InvalidConfig(Refused):
    pass


class InvalidUrl(Refused):
    pass


class InvalidComponent(Refused):
    pass


class NothingToRun(Refused):
    status = 422


class DependencyCycle(Refused):
    status = 422


class MissingSetting(Refused):
    status = 422


class WrongWorkflowId(Refused):
    pass


class PayloadTooLarge(Refused):
    status = 413


class Unauthorized(IarnetError):
    status = 401


class Forbidden(IarnetError):
    status = 403


class NotFound(IarnetError):
    status = 404


class Conflict(IarnetError):
    status = 409


class AlreadyExists(Conflict):
    pass


class ChangeInProgress(Conflict):
    pass


class PortTaken(Conflict):
    pass


class SpecMismatch(Conflict):
    pass


class StaleEpoch(Conflict):
    pass


class SourceError(IarnetError):
    status = 502
    retryable = True


class RepositoryNotFound(SourceError):
    status = 404
    retryable = False


class RefNotFound(SourceError):
    status = 404
    retryable = False


class AccessDenied(SourceError):
    status = 403
    retryable = False


class SourceTooLarge(SourceError):
    status = 413
    retryable = False


class BuildFailed(IarnetError):
    status = 422


class NoRoom(IarnetError):
    status = 409


class ProviderError(IarnetError):
    status = 502
    retryable = True


class ProviderUnavailable(ProviderError):
    status = 503


class NodeUnreachable(ProviderError):
    status = 503
    retryable = False


class ImageUnavailable(ProviderError):
    retryable = False


class ProviderRefused(ProviderError):
    retryable = False


class InstanceFailed(IarnetError):
    status = 422


class InstanceExited(InstanceFailed):
    pass


class NotReady(InstanceFailed):
    pass


class WrongPort(InstanceFailed):
    pass


class GatewayError(IarnetError):
    status = 502


class GatewayUnavailable(GatewayError):
    status = 503
    retryable = True


class GatewayRefused(GatewayError):
    status = 422


class AuthorityError(IarnetError):
    """Not retryable within the minute: each question counts, and what is wrong rarely ends by itself."""

    status = 502


class AuthorityUnavailable(AuthorityError):
    status = 503


class AuthorityRefused(AuthorityError):
    status = 422


class RateLimited(AuthorityError):
    """`again_in_s`: how long it wants to be left alone."""

    status = 429
    again_in_s: float = 3600.0


class Cancelled(IarnetError):
    status = 409


class StoreUnavailable(IarnetError):
    status = 503
    retryable = True


class Missing(IarnetError):
    status = 503


def error_from(details: dict[str, Any]) -> IarnetError:
    """The error that `details()` described; an unknown code gives the base class."""
    kinds = {"IarnetError": IarnetError} | {k.__name__: k for k in _descendants(IarnetError)}
    kind = kinds.get(str(details.get("code")), IarnetError)
    return kind(
        str(details.get("message", "")),
        where=str(details.get("where", "")),
        hint=str(details.get("hint", "")),
        component=str(details.get("component", "")),
        log=tuple(str(line) for line in details.get("log", ())),
        observed={str(key): str(value) for key, value in details.get("observed", {}).items()},
    )


def _descendants(kind: type[IarnetError]) -> list[type[IarnetError]]:
    return [d for child in kind.__subclasses__() for d in (child, *_descendants(child))]
