"""Host ports: an app keeps the one it has, and nobody gets one that is taken."""

from collections.abc import Iterable, Sequence

from iarnet import faults
from iarnet.errors import PortTaken
from iarnet.models.component import Component
from iarnet.planning.desired import published
from iarnet.providers.base import Provider
from iarnet.store.base import Ledger


class HostPorts:
    """`pool` is where ports are taken from when nobody asks for a certain one."""

    def __init__(self, ledger: Ledger, pool: range) -> None:
        self._ledger = ledger
        self._pool = pool

    async def choose(
        self, app: str, components: Sequence[Component], provider: Provider, ours: set[int], dry_run: bool
    ) -> tuple[dict[str, int], list[str]]:
        """Ledger key -> host port for everything published on this provider, and notes about second choices.

        `ours`: what the app listens on there already. Raises `PortTaken` for a port that was demanded and is held by
        something else.
        """
        claims = await self._ledger.ports(provider.info.id)
        chosen: dict[str, int] = {}
        notes: list[str] = []
        for component in components:
            for key, _, publish, wanted in published(component):
                kept = next((port for port, holder in claims.items() if holder == (app, key)), None)
                port = await self._one(app, key, publish, wanted, kept, provider, ours, claims, dry_run)
                faults.reached("port.claimed")
                claims[port] = (app, key)
                chosen[key] = port
                if publish == "prefer" and wanted and port != wanted:
                    notes.append(f"{component.name}: port {wanted} is taken, it is published on {port} instead")
        return chosen, notes

    async def _one(
        self,
        app: str,
        key: str,
        publish: str,
        wanted: int | None,
        kept: int | None,
        provider: Provider,
        ours: set[int],
        claims: dict[int, tuple[str, str]],
        dry_run: bool,
    ) -> int:
        async def usable(port: int) -> bool:
            mine = claims.get(port) == (app, key)
            return (mine and port in ours) or ((mine or port not in claims) and await provider.host_port_free(port))

        async def taken(port: int) -> bool:
            """Another app may have been a moment faster since `claims` were read."""
            return await usable(port) and (dry_run or await self._ledger.claim_port(provider.info.id, app, key, port))

        if publish == "exact" and wanted:
            if await taken(wanted):
                return wanted
            raise _taken(key, wanted, (await self._ledger.ports(provider.info.id)).get(wanted))
        for port in _candidates(wanted, kept, self._pool):
            if await taken(port):
                return port
        raise PortTaken(
            f"No port of {self._pool.start}-{self._pool.stop - 1} is free on {provider.info.id}.",
            where=key,
            hint="Widen docker.publish_ports, or stop something.",
        )


def _candidates(wanted: int | None, kept: int | None, pool: Iterable[int]) -> Iterable[int]:
    yield from (port for port in (kept, wanted) if port)
    yield from pool


def _taken(key: str, port: int, holder: tuple[str, str] | None) -> PortTaken:
    component = key.split("/")[0]
    who = f"{holder[1].split('/')[0]} of the app {holder[0]}" if holder else "another program on that machine"
    return PortTaken(
        f"Port {port}, which {component} asks for, is held by {who}.",
        where=key,
        component=component,
        hint=f"Free it, or choose another: --set {component}.publish=auto",
    )
