"""Domains as a person looks at them, and what can't be one."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Literal

from pydantic import Field

from api.bodies import DomainBody
from iarnet.errors import InvalidInput
from iarnet.models.base import AppName, ComponentName, Time, Value
from iarnet.models.domains import Certificate, CertificateKind, Domain
from iarnet.store.base import Domains

_SOON = timedelta(days=14)


class DomainView(Value):
    """`ready`: people reach the application at `url`; `waiting`: it has no certificate yet; `failed`: see `problem`.

    `warning`: what works now, but not for long.
    """

    host: str = Field(examples=["shop.localhost"])
    app: AppName
    component: ComponentName
    port: int
    url: str = Field(examples=["https://shop.localhost"])
    certificate: CertificateKind
    plain: bool
    redirect_to: str | None
    state: Literal["ready", "waiting", "failed"]
    problem: str = ""
    warning: str = ""
    issuer: str = ""
    not_before: Time | None = None
    not_after: Time | None = None


class Views:
    """`unopened`: ports of the gateway that can't be opened, and why. `uncertified`: names whose certificate it does
    not use, and why; "" when it is about to."""

    def __init__(
        self,
        *,
        http_port: int,
        https_port: int,
        unopened: Mapping[int, str],
        uncertified: Mapping[str, str],
        now: datetime,
    ) -> None:
        self._http_port = http_port
        self._https_port = https_port
        self._unopened = unopened
        self._uncertified = uncertified
        self._now = now

    def view(self, domain: Domain, certificate: Certificate | None) -> DomainView:
        tls = domain.certificate != "none"
        certificate = certificate if tls else None
        problem = self._problem(domain, certificate)
        used = certificate is not None and domain.host not in self._uncertified
        state = "failed" if problem else "ready" if used or not tls else "waiting"
        return DomainView(
            **domain.model_dump(exclude={"problem"}),
            url=self._url(domain.host, tls=tls),
            state=state,
            problem=problem,
            warning=self._warning(domain, certificate),
            **(certificate.model_dump(include={"issuer", "not_before", "not_after"}) if certificate else {}),
        )

    def _problem(self, domain: Domain, certificate: Certificate | None) -> str:
        """A renewal that fails is a warning as long as the certificate is valid."""
        ports = [self._https_port] if certificate else []
        closed = [self._unopened[port] for port in (*ports, self._http_port) if port in self._unopened]
        if certificate is None or certificate.not_after <= self._now:
            return " ".join([*([domain.problem] if domain.problem else _expired(certificate)), *closed])
        unused = self._uncertified.get(domain.host, "")
        return " ".join([*([unused] if unused else []), *closed])

    def _warning(self, domain: Domain, certificate: Certificate | None) -> str:
        if certificate is None or certificate.not_after <= self._now:
            return ""
        if domain.problem:
            return domain.problem
        if domain.certificate == "given" and certificate.not_after - self._now < _SOON:
            return f"its certificate ends at {certificate.not_after:%Y-%m-%d %H:%M} UTC: give a new one"
        return ""

    def _url(self, host: str, *, tls: bool) -> str:
        scheme, port, usual = ("https", self._https_port, 443) if tls else ("http", self._http_port, 80)
        return f"{scheme}://{host}" + ("" if port == usual else f":{port}")


def _expired(certificate: Certificate | None) -> list[str]:
    return [f"its certificate ended at {certificate.not_after:%Y-%m-%d %H:%M} UTC"] if certificate else []


def check_certificate(body: DomainBody, host: str, *, has_given: bool) -> None:
    """What is asked for goes together. `has_given`: a given one is there already. Raises `InvalidInput`."""
    pair = (body.chain is not None, body.key is not None)
    if any(pair) and not all(pair):
        missing = "key" if pair[0] else "chain"
        raise InvalidInput("a certificate and its key go together", where=missing, hint=f"give the {missing}, too")
    if body.certificate == "given" and not (all(pair) or has_given):
        hint = "give `chain` and `key`, or another `certificate`: own, acme, none"
        raise InvalidInput("there is no given certificate", where="chain", hint=hint)
    if all(pair) and body.certificate != "given":
        hint = "`certificate` must be `given` then"
        raise InvalidInput(f"{body.certificate!r} takes no chain and key", where="certificate", hint=hint)
    if body.certificate == "acme" and host.startswith("*."):
        hint = (
            "give its names one by one, or a certificate of your own; the proof that works over HTTP is for one name"
        )
        raise InvalidInput(f"an ACME server signs nothing for {host} this way", where="certificate", hint=hint)


async def check_redirect(domains: Domains, host: str, to: str | None) -> None:
    """Nobody is sent round in circles. Raises `InvalidInput`."""
    if to is None:
        return
    if to.startswith("*."):
        raise InvalidInput(f"{to} is no single name", where="redirect_to", hint="name one below it")
    seen, next_ = {host}, to
    known = {d.host: d for d in await domains.list()}
    while next_ not in seen:
        seen.add(next_)
        domain = known.get(next_) or _above(next_, known.values())
        if domain is None or domain.redirect_to is None:
            break
        next_ = domain.redirect_to
    else:
        raise InvalidInput(f"{host} would lead to itself", where="redirect_to", hint="name the one to stay at")
    if host.startswith("*.") and to.endswith(host[1:]) and to not in known:
        hint = f"make {to} a domain of its own first"
        raise InvalidInput(f"{to} is one of {host} and would lead to itself", where="redirect_to", hint=hint)


def _above(host: str, domains: Iterable[Domain]) -> Domain | None:
    """The longest wildcard that it is of."""
    found = [d for d in domains if d.host.startswith("*.") and host.endswith(d.host[1:])]
    return max(found, key=lambda d: len(d.host), default=None)
