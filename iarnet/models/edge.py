"""Who needs whom."""

from typing import Literal

from pydantic import Field

from iarnet.models.base import ComponentName, Value

Condition = Literal["started", "healthy", "completed"]
EdgeType = Literal["http", "grpc", "websocket", "tcp", "udp", "database", "cache", "queue", "volume", "order"]


class Edge(Value):
    """`from` needs `to`: it starts once `to` meets `condition`.

    `env` names the setting of `from` that the code reads to find `to`, when the analysis has seen one.
    """

    from_: ComponentName = Field(alias="from")
    to: ComponentName
    type: EdgeType = "tcp"
    condition: Condition = "healthy"
    env: str | None = None
