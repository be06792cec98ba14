"""What Envoy's admin socket tells, and the little that it is told there."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from iarnet.errors import GatewayUnavailable
from iarnet.models.traffic import EndpointLoad

_TIMEOUT_S = 5.0
_ANSWER_S = 0.5


class Checked(NamedTuple):
    """What an active check asks."""

    cluster: str
    address: str


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
        found: dict[str, EndpointLoad] = {}
        for _, host in await self._hosts(re.escape(f"{app}/{component}/") if app else ""):
            if instance := host.get("hostname"):
                load = _load(instance, host)
                found[instance] = _sum(found[instance], load) if instance in found else load
        return found

    async def has_datagrams(self, app: str, component: str) -> bool:
        """Whether any come to this component. Of them, `loads` knows nothing. Raises `GatewayUnavailable`."""
        hosts = await self._hosts(re.escape(f"{app}/{component}/"))
        return any(cluster.endswith("/udp") for cluster, _ in hosts)

    async def silent(self) -> set[Checked]:
        """What has failed its active check, of all apps. Raises `GatewayUnavailable`."""
        return {
            Checked(cluster, host["address"]["socket_address"]["address"])
            for cluster, host in await self._hosts()
            if _is_silent(host.get("health_status", {}))
        }

    async def stats(self, pattern: str) -> str:
        """Those that have a value, line by line, histograms with all their bins. Raises `GatewayUnavailable`."""
        wanted = {"filter": pattern, "usedonly": "", "histogram_buckets": "detailed"}
        return (await self._answer("GET", "/stats", wanted)).text

    async def set_runtime(self, values: Mapping[str, int]) -> None:
        """Until Envoy ends. Raises `GatewayUnavailable`."""
        await self._answer("POST", "/runtime_modify", {key: str(value) for key, value in values.items()})

    async def reopen_logs(self) -> None:
        """Go on in new files where they have been moved away. Raises `GatewayUnavailable`."""
        await self._answer("POST", "/reopen_logs", {})

    async def _hosts(self, prefix: str = "") -> list[tuple[str, dict[str, Any]]]:
        """With the names of their clusters, which `prefix`, a regular expression, begins."""
        answer = await self._answer("GET", "/clusters", {"format": "json", "filter": f"^{prefix}"})
        try:
            clusters = answer.json().get("cluster_statuses", [])
        except ValueError as error:
            raise _no_answer(error) from error
        return [(cluster["name"], host) for cluster in clusters for host in cluster.get("host_statuses", [])]

    async def _answer(self, method: str, path: str, params: Mapping[str, str]) -> httpx.Response:
        try:
            return (await self._http.request(method, path, params=params)).raise_for_status()
        except httpx.HTTPError as error:
            raise _no_answer(error) from error


def _no_answer(error: Exception) -> GatewayUnavailable:
    return GatewayUnavailable(
        f"Envoy's admin socket does not answer: {error!r}", hint="Envoy's log says more; try again."
    )


def _is_silent(health: Mapping[str, Any]) -> bool:
    """One that has not been asked yet counts as failed, too."""
    return bool(health.get("failed_active_health_check")) and not health.get("pending_active_hc")


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
        ejected=health.get("failed_outlier_check", False),
    )


def _sum(one: EndpointLoad, other: EndpointLoad) -> EndpointLoad:
    return EndpointLoad(
        instance=one.instance,
        connections=one.connections + other.connections,
        requests=one.requests + other.requests,
        requests_total=one.requests_total + other.requests_total,
        errors_total=one.errors_total + other.errors_total,
        healthy=one.healthy and other.healthy,
        ejected=one.ejected or other.ejected,
    )
