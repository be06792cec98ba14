"""Where an instance that does not answer listens instead."""

import time

from iarnet.errors import NotFound, WrongPort
from iarnet.models.component import HealthCheck
from iarnet.models.instance import InstanceSpec, Listener
from iarnet.providers.base import Provider

_FIRST_S = 4.0
_PAUSE_S = 2.0
# Programs open ports for other purposes first, and the one for requests some seconds later.
_SETTLED_S = 6.0
_CHECKED = ("http", "grpc", "tcp")
_SERVERS = ("web", "api", "static")


class Opened:
    """Of one that starts, looked at now and then. Images of databases and the like are known: theirs are not
    doubted."""

    def __init__(self, provider: Provider, spec: InstanceSpec, check: HealthCheck) -> None:
        self._provider = provider
        self._spec = spec
        self._said = [port.port for port in spec.ports if port.protocol == "tcp"]
        self._port = check.port or next(iter(self._said), None)
        # Only the first port is what `COMPONENT.port` says; a check may ask another one.
        self._doubted = check.type in _CHECKED and spec.kind in _SERVERS and self._said[:1] == [self._port]
        self._due = time.monotonic() + _FIRST_S
        self._found: tuple[Listener, ...] | None = None
        self._other: int | None = None
        self._since = 0.0

    async def compare(self) -> None:
        """Raises `WrongPort` when it has answered requests for some time on exactly one port that was not spoken of,
        and not listened on the one that is asked."""
        if not self._doubted or time.monotonic() < self._due:
            return
        other = await self._elsewhere()
        now = time.monotonic()
        self._due = now + _PAUSE_S
        if other != self._other:
            self._other, self._since = other, now
        if other and now - self._since >= _SETTLED_S:
            raise self._wrong(other)

    def __str__(self) -> str:
        """What was seen last, to go on after what a check says; empty where that was nothing to speak of."""
        if self._found is None or any(each.port == self._port and not each.loopback for each in self._found):
            return ""
        if any(each.port == self._port for each in self._found):
            return f"; it listens on {self._port} of its loopback only, where nobody else gets: let it be 0.0.0.0"
        ports = sorted({each.port for each in self._found if not each.loopback})
        return f"; it listens on {', '.join(map(str, ports))}" if ports else "; it listens on no port"

    async def _elsewhere(self) -> int | None:
        try:
            return await self._other_port()
        except NotFound:
            return None

    async def _other_port(self) -> int | None:
        self._found = await self._provider.listening(self._spec.name)
        open_ports = {each.port for each in self._found or () if not each.loopback}
        others = open_ports.difference(self._said)
        if any(each.port == self._port for each in self._found or ()) or len(others) != 1:
            return None
        other = others.pop()
        check = HealthCheck(type="http", port=other)
        answer = await self._provider.probe(self._spec.name, check)
        return other if answer.ready else None

    def _wrong(self, port: int) -> WrongPort:
        spec = self._spec
        key = f"{spec.component}.port"
        return WrongPort(
            f"{spec.component} listens on {port}, and not on {self._port} as it was said to.",
            where=spec.name,
            component=spec.component,
            hint=f"iarnet fork {spec.app} --set {key}={port}",
            observed={key: str(port)},
        )
