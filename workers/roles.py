"""What one process does: all that a node does, or one side of it beside others that share Temporal and the store."""

from typing import Literal

from iarnet.config import Settings
from iarnet.errors import InvalidConfig

Role = Literal["node", "api", "worker"]


def settled(settings: Settings, role: Role) -> Settings:
    """An API leads no traffic itself, and looks for no engine unless it is told of one.

    Raises `InvalidConfig` for a side that would be alone.
    """
    if role == "node":
        return settings
    _require(bool(settings.temporal.address), role, "temporal.address", "the Temporal that they share, host:7233")
    _require(settings.shares_store, role, "database_url", "the database that they share, postgresql://…")
    if role == "worker":
        return settings
    return settings.model_copy(
        update={
            "docker": settings.docker.model_copy(update={"host": settings.docker.host or "none"}),
            "gateway": settings.gateway.model_copy(update={"enabled": False}),
        }
    )


def _require(given: bool, role: Role, key: str, hint: str) -> None:
    if not given:
        raise InvalidConfig(
            f"`iarnet {role}` is one of several processes, and `{key}` names nothing that it shares with them.",
            where=key,
            hint=f"Set {key}: {hint}. A whole node is `iarnet up`.",
        )
