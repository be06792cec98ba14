"""`CertificateWatch`, under the ID `certificate.{host}`, as long as the domain is there and wants a certificate."""

from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from activities.certifying import Certifying
from activities.failures import failure_of
from activities.options import ISSUE, LOCAL, QUEUE, WATCH, node_queue
from activities.placing import Placing
from iarnet.models.domains import CertificateKind
from iarnet.models.work import CertificateWatchState, DomainProblem, Issue, Issued, Upkeep
from workflows.attributes import found_by
from workflows.identity import require_id
from workflows.reaching import on_node
from workflows.refusals import one_input

# 1, 3, 9, 27, 81 minutes: authorities allow about five failures an hour for a name.
_FIRST_PAUSE_S = 60.0
_LONGEST_PAUSE_S = 6 * 3600.0
# A certificate that is old when it comes (whose clock is right?) must not be replaced without end.
_SHORTEST = timedelta(seconds=60)
# So that a signal that was lost, with the node that should have sent it, costs no more than that.
_LOOKS = timedelta(days=1)


@workflow.defn
class CertificateWatch:
    """Gets a certificate, sleeps until two thirds of its time are over, and gets the next.

    A failure is written down at the domain, and tried again ever later, or when somebody changes the domain.
    """

    @one_input
    def __init__(self, state: CertificateWatchState) -> None:
        self._state = state
        self._problem = ""
        self._changed = False

    @workflow.run
    async def run(self, state: CertificateWatchState) -> None:
        require_id(f"certificate.{state.host}")
        while True:
            asked, self._changed = self._changed, False
            upkeep = await self._look()
            found_by(app=upkeep.app)
            if not upkeep.kind or upkeep.kind == "none":
                await self._leave(upkeep)
                if not self._changed:
                    return
            else:
                await self._sleep(upkeep.kind, await self._keep(upkeep, upkeep.kind, asked=asked))
            # A new run would not know that somebody has asked.
            if not self._changed and workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(self._state)

    @workflow.signal
    def changed(self) -> None:
        """The domain was changed or removed, or somebody wants it tried again now."""
        self._changed = True

    @workflow.query
    def state(self) -> CertificateWatchState:
        return self._state

    async def _look(self) -> Upkeep:
        return await workflow.execute_activity_method(
            Certifying.look_at_domain, self._state.host, task_queue=QUEUE, **WATCH
        )

    async def _leave(self, upkeep: Upkeep) -> None:
        if not upkeep.kind:
            await workflow.execute_activity_method(
                Certifying.forget_keys, self._state.host, task_queue=QUEUE, **WATCH
            )

    async def _keep(self, upkeep: Upkeep, kind: CertificateKind, *, asked: bool) -> datetime | None:
        """When there is something to do again; None: when somebody says so."""
        if kind == "given":
            return await self._tell_when_expired(upkeep.expires_at)
        if upkeep.renew_at and kind == self._state.kind and workflow.now() < upkeep.renew_at:
            return upkeep.renew_at
        if self._state.again_at and workflow.now() < self._state.again_at and not asked:
            return self._state.again_at
        return await self._get(upkeep, kind)

    async def _tell_when_expired(self, expires_at: datetime | None) -> datetime | None:
        if expires_at is None or workflow.now() < expires_at:
            await self._note("")
            return expires_at
        await self._note(f"Its certificate expired on {expires_at:%Y-%m-%d %H:%M} UTC. Give a new one.")
        return None

    async def _get(self, upkeep: Upkeep, kind: CertificateKind) -> datetime:
        issued = await self._issue(kind)
        if issued.renew_at:
            self._state = CertificateWatchState(host=self._state.host, kind=kind)
            await self._note(issued.problem)
            return max(issued.renew_at, workflow.now() + _SHORTEST)
        pause_s = min(_FIRST_PAUSE_S * 3 ** min(self._state.failures, 9), _LONGEST_PAUSE_S)
        again_at = workflow.now() + timedelta(seconds=max(pause_s, issued.again_in_s))
        self._state = self._state.model_copy(update={"failures": self._state.failures + 1, "again_at": again_at})
        await self._note(issued.problem + _remaining(upkeep.expires_at))
        return again_at

    async def _issue(self, kind: CertificateKind) -> Issued:
        try:
            node = await workflow.execute_local_activity_method(Placing.this_node, **LOCAL)
            return await on_node(
                node_queue(node),
                Certifying.issue_certificate,
                Issue(host=self._state.host, kind=kind),
                summary=f"get a certificate: {kind}",
                options=ISSUE,
            )
        except (ActivityError, ApplicationError) as error:
            if is_cancelled_exception(error):
                raise
            failure = failure_of(error)
            return Issued(problem=f"{failure.message.removesuffix('.')}. {failure.hint}".strip())

    async def _note(self, problem: str) -> None:
        """What was found out of a domain that is another one by now is no longer true."""
        self._problem = problem
        if not self._changed:
            noted = DomainProblem(host=self._state.host, problem=problem)
            await workflow.execute_activity_method(Certifying.note_problem, noted, task_queue=QUEUE, **WATCH)

    async def _sleep(self, kind: CertificateKind, until: datetime | None) -> None:
        workflow.set_current_details(self._details(kind, until))
        pause = min(until - workflow.now(), _LOOKS) if until else _LOOKS
        try:
            await workflow.wait_condition(lambda: self._changed, timeout=pause, timeout_summary="look again")
        except TimeoutError:
            return

    def _details(self, kind: CertificateKind, until: datetime | None) -> str:
        """Markdown for the web UI."""
        when = f"at {until:%Y-%m-%d %H:%M:%S} UTC" if until else "when it is changed"
        return f"**{self._state.host}** ({kind}): the next step is {when}\n\n{self._problem}".strip()


def _remaining(expires_at: datetime | None) -> str:
    return f" The one it has is valid until {expires_at:%Y-%m-%d %H:%M} UTC." if expires_at else ""
