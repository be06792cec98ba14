"""The documented `/resource` routes, exactly as written (§3.4.1)."""

from fastapi import APIRouter, Response

from api import shapes
from api.bodies import slug
from api.deps import Given
from api.errors import refusals
from iarnet.errors import (
    AlreadyExists,
    IarnetError,
    InvalidInput,
    ProviderRefused,
    ProviderUnavailable,
)
from iarnet.models.provider import ProviderRegistration, ProviderState, ProviderType

router = APIRouter(prefix="/resource", tags=["documented"])

TYPES: dict[str, ProviderType] = {"docker": "docker", "k8s": "kubernetes", "kubernetes": "kubernetes", "vm": "vm"}
SCHEMES = {"docker": "tcp", "kubernetes": "https", "vm": "ssh"}
SEALED = {"kubeconfig", "client_key", "ssh_key", "token", "password"}


@router.get(
    "/capacity",
    operation_id="documentedCapacity",
    summary="What the node has: cores, GiB, devices",
    responses=refusals(),
)
async def capacity(given: Given) -> shapes.CapacityShape:
    return shapes.capacity(await given.store.providers.states())


@router.get("/providers", operation_id="documentedProviders", summary="All providers", responses=refusals())
async def providers(given: Given) -> shapes.ProvidersShape:
    return shapes.ProvidersShape(providers=[shapes.provider(s) for s in await given.store.providers.states()])


@router.post(
    "/providers",
    operation_id="documentedAddProvider",
    summary="Register a provider",
    status_code=201,
    responses=refusals(AlreadyExists, ProviderRefused, ProviderUnavailable),
)
async def add_provider(body: shapes.ProviderCreation, given: Given, response: Response) -> shapes.ProviderShape:
    registration, sealed = _registration(body)
    if registration.id in {r.id for r in await given.store.providers.registrations()}:
        hint = "give it another name, or remove the other first"
        raise AlreadyExists(f"there is a provider {registration.id!r} already", where=registration.id, hint=hint)
    for name, value in sealed.items():
        await given.secrets.put(name, value)
    try:
        await given.add_provider(registration)
    except IarnetError:
        for name in sealed:
            await given.secrets.delete(name)
        raise
    response.headers["Location"] = f"/api/v1/providers/{registration.id}"
    return shapes.provider(await _seen(given, registration))


def _registration(body: shapes.ProviderCreation) -> tuple[ProviderRegistration, dict[str, str]]:
    """The registration, and the values to seal under the names that it refers to."""
    kind = TYPES.get(body.type.lower())
    if kind is None:
        raise InvalidInput(
            f"there is no provider type {body.type!r}", where="type", hint=f"one of {', '.join(TYPES)}"
        )
    provider_id = slug(body.name, "")
    names = {key: f"credentials/provider-{provider_id}/{key}" for key in body.config if key in SEALED}
    registration = ProviderRegistration(
        id=provider_id,
        name=body.name,
        type=kind,
        url=f"{SCHEMES[kind]}://{body.host}:{body.port}",
        config={key: value for key, value in body.config.items() if key not in SEALED},
        secrets=names,
    )
    return registration, {name: body.config[key] for key, name in names.items()}


async def _seen(given: Given, registration: ProviderRegistration) -> ProviderState:
    found = next((s for s in await given.store.providers.states() if s.info.id == registration.id), None)
    if found is None:
        hint = "look again in a moment: GET /resource/providers"
        raise ProviderUnavailable(f"{registration.id!r} is registered, and has not answered yet", hint=hint)
    return found
