"""Names under which people reach applications: under `/api/v1`, and at the root beside the documented routes."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Path

from activities.certifying import watch_certificate
from api.bodies import DomainBody, DomainCreation, Name
from api.deps import Given, Turn
from api.domains import DomainView, Views, check_certificate, check_redirect
from api.errors import refusals
from api.routable import components_of, port_of
from api.routes.communication import WRITE, OfApp, check_app, documented_of, gateway_of, take_effect
from api.services import Services
from iarnet.errors import AlreadyExists, InvalidCertificate, InvalidComponent, InvalidInput
from iarnet.models.base import Value
from iarnet.models.domains import Certificate, Domain

router = APIRouter(prefix="/communication", tags=["communication"])

Host = Annotated[Name, Path(examples=["shop.localhost"])]


class DomainsView(Value):
    domains: list[DomainView]


@router.get(
    "/domains",
    operation_id="listDomains",
    summary="Under which names people reach applications",
    responses=refusals(*WRITE),
)
async def list_domains(given: Given, app: OfApp = None) -> DomainsView:
    await check_app(given.store, app)
    domains = given.store.domains
    certificates = {c.host: c for c in await domains.certificates()}
    views = await _views(given)
    return DomainsView(domains=[views.view(d, certificates.get(d.host)) for d in await domains.list(app)])


@router.post(
    "/domains",
    operation_id="addDomain",
    summary="Have people reach a component under a name",
    status_code=201,
    responses=refusals(*WRITE, AlreadyExists, InvalidComponent, InvalidCertificate),
)
async def add_domain(body: DomainCreation, given: Given, turn: Turn) -> DomainView:
    """Its certificate is got after this, if it is not given: `state` says how far that is."""
    gateway_of(given)
    taken = {d.host: d for d in await given.store.domains.list()}
    if body.host in taken:
        hint = f"change that one: PUT /api/v1/communication/domains/{body.host}"
        where = f"leads to {taken[body.host].component} of {taken[body.host].app} already"
        raise AlreadyExists(f"{body.host} {where}", where=body.host, hint=hint)
    return await _put(given, body, body.host, None, None)


@router.put(
    "/domains/{host}",
    operation_id="changeDomain",
    summary="Change where a name leads, or its certificate",
    responses=refusals(*WRITE, InvalidComponent, InvalidCertificate),
)
async def change_domain(host: Host, body: DomainBody, given: Given, turn: Turn) -> DomainView:
    """A certificate that was given stays until another one is."""
    before = await given.store.domains.get(host)
    if before.app != body.app:
        raise InvalidInput(f"{host} belongs to {before.app!r}", where="app", hint="remove it there first")
    return await _put(given, body, host, before, await given.store.domains.certificate(host))


@router.delete(
    "/domains/{host}",
    operation_id="removeDomain",
    summary="Answer a name no longer",
    status_code=204,
    responses=refusals(*WRITE),
)
async def remove_domain(host: Host, given: Given, turn: Turn) -> None:
    domains = given.store.domains
    domain, certificate = await domains.get(host), await domains.certificate(host)
    undo = partial(_write, given, domain, certificate, None)
    await take_effect(given, domain.app, partial(domains.delete, host), undo)
    await _watch(given, domain)


async def _put(
    given: Services, body: DomainBody, host: str, before: Domain | None, known: Certificate | None
) -> DomainView:
    """All or nothing, as `take_effect` has it."""
    has_given = known is not None and before is not None and before.certificate == "given"
    check_certificate(body, host, has_given=has_given)
    await check_redirect(given.store.domains, host, body.redirect_to)
    components = await components_of(given.store, body.app)
    port = port_of(components, body.component, body.port, "component")
    certificate = _given(given, body, host)
    domain = Domain(host=host, port=port, **body.model_dump(exclude={"host", "port", "chain", "key"}))
    undo = partial(_forget, given, host) if before is None else partial(_write, given, before, known, None)
    await take_effect(given, domain.app, partial(_write, given, domain, certificate, body.key), undo)
    if certificate and known and known.key != certificate.key:
        await given.secrets.delete(known.key)
    await _watch(given, domain, before)
    return (await _views(given)).view(domain, certificate or known)


def _given(given: Services, body: DomainBody, host: str) -> Certificate | None:
    """Raises `InvalidCertificate`."""
    if body.chain is None or body.key is None:
        return None
    # Imported here: what reads certificates takes longer to import than most requests take.
    from iarnet.certificates.checking import check_given

    return check_given(body.chain, body.key, host, given.clock())


async def _write(given: Services, domain: Domain, certificate: Certificate | None, key: str | None) -> None:
    await given.store.domains.put(domain)
    if certificate and key:
        await given.secrets.put(certificate.key, key)
    if certificate:
        await given.store.domains.put_certificate(certificate)


async def _forget(given: Services, host: str) -> None:
    await given.store.domains.delete(host)
    await given.secrets.delete(f"tls/{host}")


async def _watch(given: Services, domain: Domain, before: Domain | None = None) -> None:
    """Whoever gets and renews its certificate hears of it at once."""
    if any(d.certificate != "none" for d in (domain, before) if d):
        await watch_certificate(given.temporal, domain.host, changed=True)


async def _views(given: Services) -> Views:
    return Views(
        http_port=given.http_port,
        https_port=given.https_port,
        unopened=await given.gateway.unopened() if given.gateway else {},
        uncertified=await given.gateway.uncertified() if given.gateway else {},
        now=given.clock(),
    )


documented = documented_of(router)
