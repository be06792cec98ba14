"""Is what a request names really there? Asked before anything is started, so that the answer comes at once."""

from collections.abc import Iterable

from iarnet.errors import NotFound
from iarnet.models.app import Revision
from iarnet.secrets.base import Secrets


async def check_secrets(secrets: Secrets, names: Iterable[str | None]) -> None:
    """Raises `NotFound`."""
    for name in filter(None, names):
        if name not in await secrets.names(name):
            hint = f"store it first: PUT /api/v1/secrets/{name}"
            raise NotFound(f"there is no secret {name!r}", where=name, hint=hint)


def check_component(revision: Revision, component: str) -> None:
    """Raises `NotFound`."""
    if revision.component(component) is None:
        names = ", ".join(c.name for c in revision.components)
        raise NotFound(f"{revision.app!r} has no component {component!r}", where=component, hint=f"it has {names}")
