"""Sealed values: they come in and never go out."""

from fastapi import APIRouter

from api.bodies import SecretBody, SecretName
from api.deps import Given
from api.errors import refusals
from iarnet.errors import Conflict, NotFound
from iarnet.models.base import Value

router = APIRouter(prefix="/secrets", tags=["secrets"])


class SecretNames(Value):
    names: list[str]


@router.get("", operation_id="listSecrets", summary="The names of all secrets", responses=refusals())
async def list_secrets(given: Given) -> SecretNames:
    return SecretNames(names=await given.secrets.names())


@router.put(
    "/{name:path}",
    operation_id="putSecret",
    summary="Store a secret",
    status_code=204,
    responses=refusals(NotFound),  # no route takes a line break
)
async def put_secret(name: SecretName, body: SecretBody, given: Given) -> None:
    await given.secrets.put(name, body.value)


@router.delete(
    "/{name:path}",
    operation_id="deleteSecret",
    summary="Forget a secret",
    status_code=204,
    responses=refusals(NotFound, Conflict),
)
async def delete_secret(name: SecretName, given: Given) -> None:
    """Deleting takes what is below a name, too, which nobody means who names one secret."""
    found = await given.secrets.names(name)
    if name not in found:
        raise NotFound(f"there is no secret {name!r}", where=name, hint="GET /api/v1/secrets lists them")
    if below := [other for other in found if other != name]:
        raise Conflict(f"there are secrets below {name!r}", where=below[0], hint="delete those first")
    await given.secrets.delete(name)
