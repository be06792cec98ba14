"""Certificates for domains: what there is, what has to be got, what stands in the way."""

from collections.abc import Mapping
from datetime import datetime
from functools import partial

from temporalio import activity
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy

from activities.heartbeat import heartbeating
from activities.options import QUEUE
from iarnet import faults
from iarnet.certificates.base import Issuer, Pair
from iarnet.errors import Conflict, GatewayError, GatewayRefused, NotFound, RateLimited
from iarnet.gateway.base import Gateway
from iarnet.models.app import Event
from iarnet.models.domains import Certificate, Challenge, Domain
from iarnet.models.work import CertificateWatchState, DomainProblem, Issue, Issued, Upkeep
from iarnet.secrets.base import Secrets
from iarnet.store.base import Clock, Store


async def watch_certificate(client: Client, host: str, *, changed: bool = False) -> None:
    """`certificate.{host}` runs. With `changed`, it looks at the domain at once, which may be gone by now."""
    await client.start_workflow(
        "CertificateWatch",
        CertificateWatchState(host=host),
        id=f"certificate.{host}",
        task_queue=QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        start_signal="changed" if changed else None,
        static_summary=f"keeps the certificate of {host} valid",
    )


class Certifying:
    """`issuers`: by the kind of a domain's certificate."""

    def __init__(
        self, store: Store, secrets: Secrets, gateway: Gateway, issuers: Mapping[str, Issuer], clock: Clock
    ) -> None:
        self._store = store
        self._secrets = secrets
        self._gateway = gateway
        self._issuers = issuers
        self._clock = clock

    @activity.defn
    async def look_at_domain(self, host: str) -> Upkeep:
        try:
            domain = await self._store.domains.get(host)
        except NotFound:
            return Upkeep()
        certificate = await self._store.domains.certificate(host)
        return Upkeep(
            app=domain.app,
            kind=domain.certificate,
            renew_at=_renew_at(certificate) if certificate else None,
            expires_at=certificate.not_after if certificate else None,
        )

    @activity.defn
    async def issue_certificate(self, issue: Issue) -> Issued:
        """Get one, write it down, and have it used. Raises what an `Issuer` raises, `GatewayError`, `NotFound`, and
        `Conflict` when the domain wants another one by now."""
        async with heartbeating():
            app = (await self._store.domains.get(issue.host)).app
            try:
                pair = await self._issuers[issue.kind].issue(issue.host, partial(self._prove, app))
            except RateLimited as error:
                return Issued(problem=error.message, again_in_s=error.again_in_s)
            finally:
                await self._store.domains.delete_challenges(issue.host)
            domain = await self._store.domains.get(issue.host)
            if domain.certificate != issue.kind:
                raise Conflict(f"{issue.host} was changed meanwhile.", where=issue.host)
            await self._record(pair)
            await self._tell(domain, "certificate.issued", f"{domain.host} has a certificate{_until(pair)}")
            try:
                await self._gateway.refresh(app)
            except GatewayRefused as error:
                # Not the certificate's problem, and no longer true when it is mended: `Gateway.unopened` says it.
                activity.logger.warning("a certificate waits for the gateway: %s", error.message)
            except GatewayError as error:
                # It is there, and taken over with the next change: nothing that another certificate would mend.
                return Issued(renew_at=_renew_at(pair.certificate), problem=error.message)
            await self._forget_others(pair.certificate)
            return Issued(renew_at=_renew_at(pair.certificate))

    @activity.defn
    async def note_problem(self, noted: DomainProblem) -> None:
        """Said once; a domain that is gone has none."""
        try:
            domain = await self._store.domains.get(noted.host)
        except NotFound:
            return
        if domain.problem == noted.problem:
            return
        await self._store.domains.set_problem(noted.host, noted.problem)
        if noted.problem:
            await self._tell(domain, "certificate.failed", f"{domain.host}: {noted.problem}")

    @activity.defn
    async def forget_keys(self, host: str) -> None:
        """Of a domain that is gone. Which they are is asked first: it may come back meanwhile, with a new one."""
        known = await self._secrets.names(f"tls/{host}")
        try:
            await self._store.domains.get(host)
        except NotFound:
            for name in known:
                await self._secrets.delete(name)

    async def _prove(self, app: str, challenge: Challenge) -> None:
        await self._store.domains.put_challenge(challenge)
        await self._gateway.refresh(app)

    async def _record(self, pair: Pair) -> None:
        await self._secrets.put(pair.certificate.key, pair.key)
        faults.reached("key.stored")
        await self._store.domains.put_certificate(pair.certificate)
        faults.reached("certificate.recorded")

    async def _forget_others(self, certificate: Certificate) -> None:
        """The key of the one before, and of those that a process has died over."""
        for name in await self._secrets.names(f"tls/{certificate.host}"):
            if name != certificate.key:
                await self._secrets.delete(name)

    async def _tell(self, domain: Domain, kind: str, message: str) -> None:
        await self._store.facts.add_event(
            Event(time=self._clock(), app=domain.app, component=domain.component, kind=kind, message=message)
        )


def _renew_at(certificate: Certificate) -> datetime:
    """After two thirds of its time, as Let's Encrypt advises: a month is left to find out why it fails."""
    return certificate.not_before + (certificate.not_after - certificate.not_before) * 2 / 3


def _until(pair: Pair) -> str:
    return f" of {pair.certificate.issuer} until {pair.certificate.not_after:%Y-%m-%d %H:%M} UTC"
