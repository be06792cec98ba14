"""One network per application, each with a small subnet of its own from the pool."""

import asyncio
import hashlib
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from ipaddress import IPv4Network, ip_network
from typing import Any

import structlog
from docker.types import IPAMConfig, IPAMPool

from iarnet.errors import Conflict, NoRoom, ProviderError, SpecMismatch
from iarnet.models.traffic import AppNetwork
from iarnet.providers.docker.engine import Engine, or_none
from iarnet.providers.docker.interfaces import interfaces
from iarnet.providers.docker.spec import APP, OWNER

_log = structlog.get_logger(__name__)

PREFIX = 26
"""61 addresses for instances; a pool of /16 has 1,024 such networks."""

_BRIDGE = re.compile(r"br-[0-9a-f]{12}")
"""What an engine calls the interface of a network that it makes: by the first digits of the network's ID."""

_RACE_S = 2.0
_RACE_POLL_S = 0.05


def network_name(app: str) -> str:
    return f"iarnet-{app}"


def candidates(pool: str, app: str, taken: Iterable[IPv4Network]) -> Iterator[IPv4Network]:
    """The subnets of `pool` that overlap none of `taken`, each once.

    They start at a place that the name decides: two that make the same network at once try the same subnet first, and
    the engine lets only one of them have it.
    """
    subnets = list(ip_network(pool).subnets(new_prefix=PREFIX))
    first = int.from_bytes(hashlib.sha256(app.encode()).digest()[:4]) % len(subnets)
    occupied = list(taken)
    for subnet in subnets[first:] + subnets[:first]:
        if isinstance(subnet, IPv4Network) and not any(subnet.overlaps(t) for t in occupied):
            yield subnet


class Networks:
    """Those of a local engine stay clear of this machine's other interfaces; a remote one's can't be seen here."""

    def __init__(self, engine: Engine, owner: str, pool: str) -> None:
        self._engine = engine
        self._owner = owner
        self._pool = pool

    async def ensure(self, app: str) -> AppNetwork:
        """Raises `SpecMismatch` when a network of this name is not ours, `NoRoom` when the pool is used up."""
        name = network_name(app)
        if there := await self._found(name):
            return there
        bridges, others = await self._interfaces()
        taken = [*others, *await self._taken()]
        # A bridge without a network was left by another engine, or it is the first that shows of a network which
        # somebody is just making, perhaps this one. If it is none of this name after a wait, it is passed over.
        wanted = next(candidates(self._pool, app, taken), None)
        if wanted and any(wanted.overlaps(b) for b in bridges) and (there := await self._appears(name)):
            return there
        for subnet in candidates(self._pool, app, [*taken, *bridges]):
            if made := await self._create(app, name, subnet) or await self._appears(name):
                return made
        raise NoRoom(
            f"No subnet is left in {self._pool} for the network of {app}",
            where=self._engine.connection.url,
            hint="remove networks that nobody uses, or set `docker.network_pool` to a larger range that is free",
        )

    async def remove(self, app: str) -> None:
        """Nothing there is fine. Raises `Conflict` while instances are on it."""
        name = network_name(app)
        if not await self._found(name):
            return
        try:
            await or_none(self._engine.call(lambda c: c.remove_network(name)))
        except ProviderError as e:
            if "active endpoints" not in e.message:
                raise
            await self._refuse_or_leave(name, e)

    async def _refuse_or_leave(self, name: str, error: ProviderError) -> None:
        found = await or_none(self._engine.ask(lambda c: c.inspect_network(name)))
        if found is not None and found["Containers"]:
            users = ", ".join(sorted(each["Name"] for each in found["Containers"].values()))
            raise Conflict(f"The network {name} is in use by {users}", hint="remove its instances first") from error
        # Engine 20.10 sometimes loses count of a network's endpoints (seen twice in 450 starts that overlapped with
        # stops on one network). Nothing but a restart of the engine helps, and the network does no harm: it is used
        # again by the next deployment.
        _log.warning("network_not_removed", network=name, engine=error.where, hint="restart the engine to remove it")

    async def _found(self, name: str) -> AppNetwork | None:
        found = await or_none(self._engine.ask(lambda c: c.inspect_network(name)))
        if found is None:
            return None
        if (found["Labels"] or {}).get(OWNER) != self._owner:
            raise SpecMismatch(
                f"A network {name} exists that this node did not make",
                hint=f"`docker network rm {name}`, or rename the app",
            )
        return next(_described(pool) for pool in found["IPAM"]["Config"] if "." in pool["Subnet"])

    async def _appears(self, name: str) -> AppNetwork | None:
        """If somebody else is just making it: the engine knows its subnet some time before its name."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_RACE_S):
                while (there := await self._found(name)) is None:  # noqa: ASYNC110 - the other may be another process
                    await asyncio.sleep(_RACE_POLL_S)
                return there
        return None

    async def _create(self, app: str, name: str, subnet: IPv4Network) -> AppNetwork | None:
        """None when somebody else has the name or the subnet meanwhile."""
        made = AppNetwork(address=str(subnet[1]), subnet=str(subnet))
        ipam = IPAMConfig(pool_configs=[IPAMPool(subnet=made.subnet, gateway=made.address)])
        labels = {OWNER: self._owner, APP: app}
        try:
            await self._engine.call(
                lambda c: c.create_network(name, "bridge", ipam=ipam, labels=labels, check_duplicate=True)
            )
        except (Conflict, ProviderError) as e:
            if isinstance(e, Conflict) or "overlap" in e.message.lower():
                return None
            raise
        return made

    async def _interfaces(self) -> tuple[list[IPv4Network], list[IPv4Network]]:
        """The subnets of the bridges that engines of this machine made, and those of its other interfaces."""
        found = await asyncio.to_thread(interfaces) if self._engine.connection.local else []
        bridges = [interface.network for name, interface in found if _BRIDGE.fullmatch(name)]
        return bridges, [interface.network for name, interface in found if not _BRIDGE.fullmatch(name)]

    async def _taken(self) -> list[IPv4Network]:
        networks: list[dict[str, Any]] = await self._engine.ask(lambda c: c.networks())
        configs = [pool for n in networks for pool in (n["IPAM"]["Config"] or ())]
        subnets = [ip_network(pool["Subnet"], strict=False) for pool in configs if pool.get("Subnet")]
        return [s for s in subnets if isinstance(s, IPv4Network)]


def _described(pool: dict[str, str]) -> AppNetwork:
    """Without a gateway in it, the engine took the first address."""
    subnet = IPv4Network(pool["Subnet"])
    return AppNetwork(address=pool.get("Gateway") or str(subnet[1]), subnet=str(subnet))
