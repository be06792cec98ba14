"""Errors on their way through Temporal: one place that turns ours into its, and back."""

from collections import Counter
from typing import Any

from temporalio import activity
from temporalio.exceptions import ActivityError, ApplicationError, FailureError, TimeoutError, TimeoutType
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from iarnet import faults
from iarnet.errors import IarnetError, ProviderUnavailable, StoreUnavailable, error_from
from iarnet.models.change import Failure
from iarnet.secrets.base import Secrets

# Errors until an activity gives up: after 6 s; after 20 s when a provider can't be reached, as an engine takes so
# long to start again; after a minute for the store, until a database is on another host or a disk has room again.
_PATIENCE = 6
_LONGER: dict[type[IarnetError], int] = {ProviderUnavailable: 8, StoreUnavailable: 12}
_SURPRISES = 3


def application_error(error: IarnetError, count: int = 1) -> ApplicationError:
    """Typed by the error's code, with its details; retried only when the error says so, and not for ever.

    `count`: of the activity's errors. The bound is here and not in the retry policy, which also counts the attempts
    that a killed node has cost.
    """
    patience = _LONGER.get(type(error), _PATIENCE)
    final = not error.retryable or count >= patience
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
    if failure.not_undone:
        message = f"{message.removesuffix('.')}. Not undone: {'; '.join(failure.not_undone)}."
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
        observed=error.observed,
    )


def absent(what: str, node: str = "") -> Failure:
    """Nobody took `what` up, which that node alone can do."""
    who = f"the node {node}" if node else "the node that has to do it"
    return Failure(
        code="NodeUnreachable",
        message=f"Nobody took {what} up in time: {who} is not there.",
        hint="Start that node again and retry.",
    )


def _timeout(error: BaseException, cause: TimeoutError) -> Failure:
    what = error.activity_type if isinstance(error, ActivityError) else "a step"
    if cause.type == TimeoutType.SCHEDULE_TO_START:
        return absent(what)
    return Failure(code="TimedOut", message=f"{what} did not end in time.", hint="`iarnet retry` goes on from here.")


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, FailureError) and error.cause is not None:
        error = error.cause
    return error


class _Errors:
    """How often each activity has failed here. The attempts that a killed node has cost are not among them."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str | None, str]] = Counter()

    def count(self) -> int:
        """One more. What has a deadline for all of its attempts is tried until then, what has no bound for ever."""
        info = activity.info()
        if info.schedule_to_close_timeout or (info.retry_policy and not info.retry_policy.maximum_attempts):
            return 1
        key = info.workflow_run_id, info.activity_id
        self._counts[key] += 1
        return self._counts[key]

    def forget(self) -> None:
        info = activity.info()
        self._counts.pop((info.workflow_run_id, info.activity_id), None)


class FailureInterceptor(Interceptor):
    """Maps `IarnetError` for every activity of a worker, with secrets taken out of the message."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._errors = _Errors()

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Inbound(next, self._secrets, self._errors)


class _Inbound(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, secrets: Secrets, errors: _Errors) -> None:
        super().__init__(next)
        self._secrets = secrets
        self._errors = errors

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        try:
            result = await super().execute_activity(input)
            self._errors.forget()
            faults.reached(f"{activity.info().activity_type}.done")
            return result
        except IarnetError as error:
            activity.logger.info("refused: %s", error.code)
            raise application_error(self._redacted(error), self._errors.count()) from None
        except FailureError:
            raise
        except Exception as error:
            # A mistake of ours: worth another try or two, but not an hour of them. Only what is redacted goes into
            # the history; where it happened is in the log.
            activity.logger.exception("unexpected")
            final = self._errors.count() >= _SURPRISES
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
            observed=error.observed,
        )
