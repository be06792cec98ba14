"""What goes through applications, beside what they are."""

from collections.abc import Mapping

from api.services import Services
from api.views import AppTraffic, AppView, ComponentView, view
from iarnet.errors import GatewayError
from iarnet.gateway.base import Gateway
from iarnet.models.traffic import RecentTraffic

Recent = Mapping[tuple[str, str], RecentTraffic]


async def recent(gateway: Gateway | None, app: str = "") -> Recent:
    """By app and component. Nothing, while the gateway does not answer: what runs can be told without it."""
    try:
        found = await gateway.traffic(app) if gateway else []
    except GatewayError:
        return {}
    return {(t.app, t.component): t.recent for t in found if t.recent and not t.route}


async def measured_view(given: Services, app: str) -> AppView:
    """Raises `NotFound`."""
    return measured(await view(given.store, app), await recent(given.gateway, app))


def measured(app: AppView, recent: Recent) -> AppView:
    components = tuple(c.model_copy(update={"traffic": recent.get((app.name, c.name))}) for c in app.components)
    return app.model_copy(update={"components": components, "traffic": _of_users(components)})


def _of_users(components: tuple[ComponentView, ...]) -> AppTraffic | None:
    """Of what is published: the others are asked by the application itself, again for each request of a user."""
    entries = [c.traffic for c in components if c.traffic and c.addresses]
    if not entries:
        return None
    per_s = sum(t.requests_per_s for t in entries)
    return AppTraffic(
        requests_per_s=per_s,
        mean_s=_weighted([(t.requests_per_s, t.mean_s) for t in entries]),
        error_share=_weighted([(t.requests_per_s, t.error_share) for t in entries]),
    )


def _weighted(values: list[tuple[float, float | None]]) -> float | None:
    known = [(weight, value) for weight, value in values if value is not None]
    total = sum(weight for weight, _ in known)
    return sum(weight * value for weight, value in known) / total if total else None
