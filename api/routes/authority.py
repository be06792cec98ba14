"""Who signs our own certificates."""

from fastapi import APIRouter

from api.deps import Given
from api.errors import refusals
from iarnet.errors import Missing
from iarnet.models.base import Value

router = APIRouter(tags=["communication"])


class AuthorityView(Value):
    """`certificate` is PEM, for browsers and systems to trust. Its key never leaves the node."""

    certificate: str


@router.get(
    "/authority",
    operation_id="getAuthority",
    summary="The authority that signs the node's own certificates",
    responses=refusals(Missing),
)
async def get_authority(given: Given) -> AuthorityView:
    """Made at the first use."""
    if given.authority is None:
        raise Missing("nothing signs certificates on this node", where="authority", hint="start it with `iarnet up`")
    return AuthorityView(certificate=await given.authority())
