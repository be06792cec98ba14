"""One network per application, with a small subnet of its own from the pool, and further addresses of the host."""

import asyncio
import hashlib
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from ipaddress import IPv4Network, ip_network
from typing import Any

import structlog
from docker.types import IPAMConfig, IPAMPool

from iarnet.errors import Conflict, NoRoom, NotFound, ProviderError, SpecMismatch
from iarnet.models.traffic import AppNetwork
from iarnet.providers.docker.engine import Engine, or_none
from iarnet.providers.docker.interfaces import interfaces
from iarnet.providers.docker.names import Names
from iarnet.providers.docker.spec import APP, OWNER

_log = structlog.get_logger(__name__)

PREFIX = 26
"""61 addresses for instances; a pool of /16 has 1,024 such networks. An app of many gets a larger one."""

_NO_INSTANCES = 3
"""Addresses of a network that instances can't have: its first, the host's and the last."""

EMPTY = 30
"""Of a network without instances, which is there for the host's address in it: no engine makes a smaller one."""

_SHARE_OF_EMPTY = 16
"""They begin in the last 1/16 of the pool, so that they don't break up the subnets that instances need."""

_UNCHANGED = {"com.docker.network.bridge.enable_ip_masquerade": "false"}
"""What the host sends from an address of an empty network keeps this address, also where the engine would take it for
a new connection: an answer to a datagram that comes late."""

_BRIDGE = re.compile(r"br-[0-9a-f]{12}")
"""What an engine calls the interface of a network that it makes: by the first digits of the network's ID."""

_RACE_S = 2.0
_RACE_POLL_S = 0.05


def prefix_for(room: int) -> int:
    """Of the smallest network in which so many instances can all be replaced at once: a network can't grow."""
    return min(PREFIX, 32 - (2 * room + _NO_INSTANCES - 1).bit_length())


def candidates(
    pool: str, name: str, taken: Iterable[IPv4Network], slot: int = 0, prefix: int = PREFIX
) -> Iterator[IPv4Network]:
    """The subnets of `pool` that overlap none of `taken`, each once. `prefix` is for what has instances, at slot 0.

    They start at a place that the name decides: two that make the same network at once try the same subnet first, and
    the engine lets only one of them have it. So does one that makes it again.
    """
    prefix = EMPTY if slot else prefix
    whole = IPv4Network(pool)
    if prefix < whole.prefixlen:
        return
    count = 1 << (prefix - whole.prefixlen)
    among = max(1, count // _SHARE_OF_EMPTY) if slot else count
    first = count - among + int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) % among
    occupied = list(taken)
    for place in range(first, first + count):
        address = int(whole.network_address) + (place % count << (32 - prefix))
        subnet = IPv4Network((address, prefix))
        if not any(subnet.overlaps(t) for t in occupied):
            yield subnet


class Networks:
    """Those of a local engine stay clear of this machine's other interfaces; a remote one's can't be seen here."""

    def __init__(self, engine: Engine, names: Names, pool: str) -> None:
        self._engine = engine
        self._names = names
        self._pool = pool

    async def ensure(self, app: str, slot: int = 0, room: int = 0) -> AppNetwork:
        """With room for so many instances and their successors, if it is made now.

        Raises `SpecMismatch` when a network of this name is not ours, `NoRoom` when the pool is used up, and
        `NotFound` for a further slot of an app that has no network.

        The address of a further slot is that of an empty network. Instances reach it: the host takes what is for any
        of its addresses, whichever bridge it comes from.
        """
        if not slot:
            return await self._ensured(app, 0, prefix_for(room))
        name = self._names.network(app)
        home = await self._found(name)
        if home is None:
            raise NotFound(f"There is no network {name}", where=self._engine.connection.url, hint="make it first")
        return AppNetwork(address=(await self._ensured(app, slot)).address, subnet=home.subnet)

    async def _ensured(self, app: str, slot: int, prefix: int = PREFIX) -> AppNetwork:
        name = self._names.network(app, slot)
        if there := await self._found(name):
            return there
        bridges, others = await self._interfaces()
        taken = [*others, *await self._taken()]
        # A bridge without a network was left by another engine, or it is the first that shows of a network which
        # somebody is just making, perhaps this one. If it is none of this name after a wait, it is passed over.
        wanted = next(candidates(self._pool, name, taken, slot, prefix), None)
        if wanted and any(wanted.overlaps(b) for b in bridges) and (there := await self._appears(name)):
            return there
        for subnet in candidates(self._pool, name, [*taken, *bridges], slot, prefix):
            if made := await self._create(app, slot, subnet) or await self._appears(name):
                return made
        raise NoRoom(
            f"No subnet is left in {self._pool} for the network {name}",
            where=self._engine.connection.url,
            hint="remove networks that nobody uses, or set `docker.network_pool` to a larger range that is free",
        )

    async def remove(self, app: str) -> None:
        """With its further addresses. Nothing there is fine. Raises `Conflict` while instances are on it."""
        name = self._names.network(app)
        await self._found(name)
        mine = {"name": name, "label": f"{OWNER}={self._names.owner}"}
        named = [each["Name"] for each in await self._engine.ask(lambda c: c.networks(filters=mine))]
        for each in sorted(n for n in named if n == name or n.startswith(f"{name}.")):
            await self._remove(each)

    async def _remove(self, name: str) -> None:
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
        if (found["Labels"] or {}).get(OWNER) != self._names.owner:
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

    async def _create(self, app: str, slot: int, subnet: IPv4Network) -> AppNetwork | None:
        """None when somebody else has the name or the subnet meanwhile."""
        made = AppNetwork(address=str(subnet[1]), subnet=str(subnet))
        ipam = IPAMConfig(pool_configs=[IPAMPool(subnet=made.subnet, gateway=made.address)])
        labels = {OWNER: self._names.owner, APP: app}
        options = _UNCHANGED if slot else None
        name = self._names.network(app, slot)
        try:
            await self._engine.call(
                lambda c: c.create_network(name, "bridge", options, ipam, labels=labels, check_duplicate=True)
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
