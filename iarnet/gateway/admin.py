"""What Envoy's admin socket tells of the endpoints."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from iarnet.errors import GatewayUnavailable
from iarnet.models.traffic import EndpointLoad

_TIMEOUT_S = 5.0
_ANSWER_S = 0.5


class Admin:
    """A client of the admin socket, which is opened at the first question."""

    def __init__(self, path: Path) -> None:
        self._http = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=str(path)), base_url="http://envoy", timeout=_TIMEOUT_S
        )

    async def aclose(self) -> None:
        await self._http.aclose()

    async def answers(self) -> bool:
        """Whether Envoy is there, with a configuration or without."""
        try:
            await self._http.get("/ready", timeout=_ANSWER_S)
        except httpx.TransportError:
            return False
        return True

    async def loads(self, app: str = "", component: str = "") -> dict[str, EndpointLoad]:
        """By instance, of all ports and revisions that lead there; of all apps, or of one component of one.

        A TCP connection and an upgraded one count as requests, too. Raises `GatewayUnavailable`.
        """
        prefix = re.escape(f"{app}/{component}/") if app else ""
        try:
            answer = await self._http.get("/clusters", params={"format": "json", "filter": f"^{prefix}"})
            clusters = answer.raise_for_status().json().get("cluster_statuses", [])
        except (httpx.HTTPError, ValueError) as error:
            raise GatewayUnavailable(
                f"Envoy's admin socket does not answer: {error!r}", hint="Envoy's log says more; try again."
            ) from error
        found: dict[str, EndpointLoad] = {}
        for host in (host for cluster in clusters for host in cluster.get("host_statuses", [])):
            if instance := host.get("hostname"):
                load = _load(instance, host)
                found[instance] = _sum(found[instance], load) if instance in found else load
        return found


def _load(instance: str, host: Mapping[str, Any]) -> EndpointLoad:
    count = {one["name"]: int(one.get("value", 0)) for one in host.get("stats", [])}
    health = dict(host.get("health_status", {}))
    return EndpointLoad(
        instance=instance,
        connections=count.get("cx_active", 0),
        requests=count.get("rq_active", 0) + count.get("rq_pending_active", 0),
        requests_total=count.get("rq_total", 0),
        # A connection that can't be made for a request is an error of that one already.
        errors_total=max(count.get("rq_error", 0), count.get("cx_connect_fail", 0)),
        healthy=health.pop("eds_health_status", "HEALTHY") == "HEALTHY" and not any(health.values()),
    )


def _sum(one: EndpointLoad, other: EndpointLoad) -> EndpointLoad:
    return EndpointLoad(
        instance=one.instance,
        connections=one.connections + other.connections,
        requests=one.requests + other.requests,
        requests_total=one.requests_total + other.requests_total,
        errors_total=one.errors_total + other.errors_total,
        healthy=one.healthy and other.healthy,
    )
