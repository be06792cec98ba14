"""The engine's event stream as events of ours."""

from collections.abc import AsyncIterator
from typing import Any, Literal

from iarnet.errors import ProviderUnavailable
from iarnet.models.instance import Instance, InstanceState
from iarnet.models.provider import ProviderEvent
from iarnet.providers.docker.engine import Engine
from iarnet.providers.docker.names import Names
from iarnet.providers.docker.owned import is_instance
from iarnet.providers.docker.spec import OWNER, gone, instance

Kind = Literal["started", "died", "removed", "oom", "unhealthy", "healthy"]

_KINDS: dict[str, tuple[Kind, InstanceState]] = {
    "start": ("started", "running"),
    "die": ("died", "exited"),
    "destroy": ("removed", "removed"),
    "oom": ("oom", "running"),
    "health_status: healthy": ("healthy", "running"),
    "health_status: unhealthy": ("unhealthy", "running"),
}


async def events(engine: Engine, provider_id: str, owner: str) -> AsyncIterator[ProviderEvent]:
    """Those of the owner's instances. Raises `ProviderUnavailable` when the stream ends."""
    wanted = {
        "type": "container",
        "label": f"{OWNER}={owner}",
        "event": ["start", "die", "destroy", "oom", "health_status"],
    }
    async for raw in engine.stream(lambda c: c.events(filters=wanted, decode=True)):
        known = _KINDS.get(raw.get("Action", ""))
        attributes = raw["Actor"]["Attributes"]
        if known is not None and is_instance(attributes, [attributes["name"]], Names(owner)):
            kind, state = known
            yield ProviderEvent(
                provider_id=provider_id, kind=kind, instance=await _subject(engine, provider_id, raw, state)
            )
    raise ProviderUnavailable(
        "The engine ended its stream of events",
        where=engine.connection.url,
        hint="the engine was stopped or restarted",
    )


async def _subject(engine: Engine, provider_id: str, raw: dict[str, Any], state: InstanceState) -> Instance:
    """As of the event: a container may have been started again or removed since."""
    actor = raw["Actor"]
    then = gone(actor["Attributes"], provider_id, id=actor["ID"], state=state)
    found = None if state == "removed" else await engine.container(actor["ID"])
    if found is None:
        return then
    now = instance(found, provider_id)
    if now.state == state:
        return now
    return now.model_copy(update={"state": state, "exit_code": then.exit_code})
