"""Host ports of an engine: which are free, and who holds the others."""

import asyncio
import socket
from typing import Any

from iarnet.providers.docker.engine import Engine
from iarnet.providers.docker.spec import APP, COMPONENT

_KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
# A firewall may just not answer.
_CONNECT_S = 0.5


class Ports:
    def __init__(self, engine: Engine, publish_address: str) -> None:
        self._engine = engine
        self._address = publish_address

    async def free(self, port: int, protocol: str) -> bool:
        """On a remote engine besides its containers only what lets us connect is seen; a start finds out the rest."""
        if await self._publishing(port, protocol):
            return False
        if self._engine.connection.local:
            return _can_bind(self._address, port, protocol)
        return protocol != "tcp" or not await _answers(self._engine.connection.host, port)

    async def holder(self, ports: list[int]) -> str:
        for port in ports:
            for found in await self._publishing(port, "tcp", "udp"):
                return _described(found)
        return "another program on that host"

    async def _publishing(self, port: int, *protocols: str) -> list[dict[str, Any]]:
        wanted = {"publish": [f"{port}/{protocol}" for protocol in protocols]}
        found: list[dict[str, Any]] = await self._engine.ask(lambda c: c.containers(filters=wanted))
        return found


def _can_bind(address: str, port: int, protocol: str) -> bool:
    with socket.socket(socket.AF_INET, _KINDS[protocol]) as attempt:
        # Else connections that ended a moment ago would count as a holder.
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(protocol == "tcp"))
        try:
            attempt.bind((address, port))
        except OSError:
            return False
    return True


async def _answers(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(_CONNECT_S):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


def _described(container: dict[str, Any]) -> str:
    name = container["Names"][0].lstrip("/")
    labels = container["Labels"]
    if APP not in labels:
        return f"the container {name}"
    return f"{labels[COMPONENT]} of {labels[APP]} ({name})"
