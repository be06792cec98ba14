"""A claim on a provider's resources."""

from typing import Literal

from iarnet.models.base import Time, Value
from iarnet.models.resources import Resources

Place = tuple[int, str]
"""A host port and its transport, `tcp` or `udp`: on a host each number is there once for either."""


class Lease(Value):
    """`reserved` counts until `expires_at` (judged when read); `active` counts until it is released."""

    id: str
    provider_id: str
    app: str
    component: str
    instance: str
    resources: Resources
    state: Literal["reserved", "active"]
    epoch: int = 0
    expires_at: Time | None = None
