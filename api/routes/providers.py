"""Where things run."""

from fastapi import APIRouter, Response

from api.bodies import PlainText
from api.deps import Given
from api.errors import refusals
from iarnet.errors import AlreadyExists, Conflict, NotFound, ProviderRefused, ProviderUnavailable
from iarnet.models.base import Value
from iarnet.models.provider import (
    ProviderHealth,
    ProviderRegistration,
    ProviderState,
)
from iarnet.models.resources import Resources

router = APIRouter(tags=["providers"])


class ProvidersView(Value):
    """`providers` as they were last seen; `registrations` are those that a user connected."""

    providers: list[ProviderState]
    registrations: list[ProviderRegistration]


class ProviderAdded(Value):
    id: str
    health: ProviderHealth


class CapacityView(Value):
    """Over all providers that answer. `reserved` is what our own instances and plans have claimed."""

    total: Resources
    used: Resources
    available: Resources
    reserved: Resources


@router.get("/providers", operation_id="listProviders", summary="All providers", responses=refusals())
async def list_providers(given: Given) -> ProvidersView:
    rows = given.store.providers
    return ProvidersView(providers=await rows.states(), registrations=await rows.registrations())


@router.post(
    "/providers",
    operation_id="addProvider",
    summary="Connect a provider",
    status_code=201,
    responses=refusals(AlreadyExists, NotFound, ProviderRefused, ProviderUnavailable),
)
async def add_provider(body: ProviderRegistration, given: Given, response: Response) -> ProviderAdded:
    health = await given.add_provider(body)
    response.headers["Location"] = f"/api/v1/providers/{body.id}"
    return ProviderAdded(id=body.id, health=health)


@router.get(
    "/providers/{provider_id}", operation_id="getProvider", summary="One provider", responses=refusals(NotFound)
)
async def get_provider(provider_id: PlainText, given: Given) -> ProviderState:
    found = next((s for s in await given.store.providers.states() if s.info.id == provider_id), None)
    if found is None:
        hint = "GET /api/v1/providers lists them"
        raise NotFound(f"there is no provider {provider_id!r}", where=provider_id, hint=hint)
    return found


@router.delete(
    "/providers/{provider_id}",
    operation_id="removeProvider",
    summary="Disconnect a provider",
    status_code=204,
    responses=refusals(NotFound, Conflict),
)
async def remove_provider(provider_id: PlainText, given: Given) -> None:
    await given.remove_provider(provider_id)


@router.post(
    "/providers/{provider_id}/test",
    operation_id="testProvider",
    summary="Does it answer, how fast, and what is wrong if not",
    responses=refusals(NotFound),
)
async def test_provider(provider_id: PlainText, given: Given) -> ProviderHealth:
    try:
        provider = given.providers.get(provider_id)
    except NotFound:
        health = (await get_provider(provider_id, given)).health
        if not health.problem:
            raise
        return health  # it could not be connected when the node started: why is known
    return await provider.check()


@router.get("/capacity", operation_id="getCapacity", summary="What all providers have together", responses=refusals())
async def capacity(given: Given) -> CapacityView:
    states = [s for s in await given.store.providers.states() if s.status == "active"]
    reserved = await given.store.ledger.reserved()
    return CapacityView(
        total=sum((s.capacity.total for s in states), Resources()),
        used=sum((s.capacity.used for s in states), Resources()),
        available=sum((s.capacity.available for s in states), Resources()),
        reserved=sum(reserved.values(), Resources()),
    )
