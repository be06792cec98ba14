"""Is the node well? The one route that needs no token, so it tells nothing else."""

from datetime import timedelta
from typing import Literal

from fastapi import APIRouter, Response

from api.deps import Given
from iarnet.models.base import Value

router = APIRouter(tags=["node"])

Check = Literal["ok", "unreachable"]


class Health(Value):
    status: Literal["ok", "degraded"]
    checks: dict[str, Check]


@router.get(
    "/api/health",
    operation_id="getHealth",
    summary="Whether the node and what it needs are well; open to all",
    responses={503: {"model": Health, "description": "something that the node needs does not answer"}},
)
async def health(given: Given, response: Response) -> Health:
    checks: dict[str, Check] = {"store": await _store(given), "temporal": await _temporal(given)}
    well = all(check == "ok" for check in checks.values())
    response.status_code = 200 if well else 503
    return Health(status="ok" if well else "degraded", checks=checks)


async def _store(given: Given) -> Check:
    try:
        await given.store.providers.registrations()
    except Exception:
        return "unreachable"
    return "ok"


async def _temporal(given: Given) -> Check:
    try:
        well = await given.temporal.service_client.check_health(timeout=timedelta(seconds=3))
    except Exception:
        return "unreachable"
    return "ok" if well else "unreachable"
