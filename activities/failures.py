"""Errors on their way through Temporal: one place that turns ours into its, and back."""

from typing import Any

from temporalio import activity
from temporalio.exceptions import ActivityError, ApplicationError, FailureError, TimeoutError, TimeoutType
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from iarnet.errors import IarnetError, error_from
from iarnet.models.change import Failure
from iarnet.secrets.base import Secrets

_PATIENCE = 6
_SURPRISES = 3


def application_error(error: IarnetError, attempt: int = 1) -> ApplicationError:
    """Typed by the error's code, with its details; retried only when the error says so, and not for ever.

    The bound is here and not in the retry policy, which also counts the attempts that a killed node has cost.
    """
    final = not error.retryable or attempt >= _PATIENCE
    message = _told(error.message, error.hint)
    return ApplicationError(message, error.details(), type=error.code, non_retryable=final)


def failure_of(error: BaseException) -> Failure:
    """What a person should read of an error that came out of an activity, a child workflow or our own code."""
    if isinstance(error, IarnetError):
        return _failure(error)
    cause = _innermost(error)
    if isinstance(cause, ApplicationError) and cause.details and isinstance(cause.details[0], dict):
        return _failure(error_from(cause.details[0]))
    if isinstance(cause, TimeoutError):
        return _timeout(error, cause)
    kind = cause.type if isinstance(cause, ApplicationError) and cause.type else type(cause).__name__
    return Failure(
        code=kind,
        message=getattr(cause, "message", str(cause)) or kind,
        hint="The run's history in the Temporal web UI has the rest.",
    )


def typed(failure: Failure) -> ApplicationError:
    """What a run fails with: red in the web UI, with the code as its type."""
    named = not failure.component or failure.message.startswith(failure.component)
    component = "" if named else f"{failure.component}: "
    message = _told(component + failure.message, failure.hint)
    return ApplicationError(message, failure.model_dump(mode="json"), type=failure.code, non_retryable=True)


def _told(message: str, hint: str) -> str:
    """Both, because Temporal's own tools show the message alone."""
    return f"{message.removesuffix('.')}. {hint}" if hint else message


def _failure(error: IarnetError) -> Failure:
    return Failure(
        code=error.code,
        message=error.message,
        hint=error.hint,
        where=error.where,
        component=error.component,
        log=error.log,
    )


def _timeout(error: BaseException, cause: TimeoutError) -> Failure:
    what = error.activity_type if isinstance(error, ActivityError) else "a step"
    if cause.type == TimeoutType.SCHEDULE_TO_START:
        return Failure(
            code="NodeUnreachable",
            message=f"Nobody took {what} up in time: the node that has to do it is not there.",
            hint="Start that node (`iarnet up` on it) and retry.",
        )
    return Failure(code="TimedOut", message=f"{what} did not end in time.", hint="`iarnet retry` goes on from here.")


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, FailureError) and error.cause is not None:
        error = error.cause
    return error


class FailureInterceptor(Interceptor):
    """Maps `IarnetError` for every activity of a worker, with secrets taken out of the message."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Inbound(next, self._secrets)


class _Inbound(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, secrets: Secrets) -> None:
        super().__init__(next)
        self._secrets = secrets

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        try:
            return await super().execute_activity(input)
        except IarnetError as error:
            activity.logger.info("refused: %s", error.code)
            raise application_error(self._redacted(error), activity.info().attempt) from None
        except FailureError:
            raise
        except Exception as error:
            # A mistake of ours: worth another try or two, but not an hour of them. Only what is redacted goes into
            # the history; where it happened is in the log.
            activity.logger.exception("unexpected")
            final = activity.info().attempt >= _SURPRISES
            message = self._secrets.redact(str(error))
            raise ApplicationError(message, type=type(error).__name__, non_retryable=final) from None

    def _redacted(self, error: IarnetError) -> IarnetError:
        clean = self._secrets.redact
        return type(error)(
            clean(error.message),
            where=clean(error.where),
            hint=clean(error.hint),
            component=error.component,
            log=tuple(clean(line) for line in error.log),
        )
