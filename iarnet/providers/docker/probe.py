"""Whether a container answers: from here where its address can be reached, else from inside it."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from importlib import import_module
from ipaddress import IPv6Address, ip_address
from pathlib import Path

from iarnet.errors import Conflict, IarnetError, NotFound, ProviderUnavailable
from iarnet.models.component import HealthCheck
from iarnet.models.instance import Instance, Listener, ProbeResult
from iarnet.providers.docker.channel import Channel
from iarnet.providers.docker.companion import Companion
from iarnet.providers.docker.engine import Engine
from iarnet.providers.docker.logs import frames
from iarnet.providers.docker.request import stream
from iarnet.providers.docker.ssh import SshTunnel
from iarnet.providers.probe import Dial, Pair, probe_port

_TABLES = ("tcp", "tcp6")
_SHOW_TABLES = ["cat", *(f"/proc/net/{name}" for name in _TABLES)]
_HEADING = "local_address"
_LISTENING = "0A"
_NO_SUCH_PROGRAM = (126, 127)
_SHOWN = 200
_KEPT = 256 * 1024
_ATTACHED = {"Detach": False, "Tty": False}
_PATIENCE_S = 0.5


class Prober:
    """`companion`: what can connect to instances of an engine elsewhere, if it is there."""

    def __init__(self, engine: Engine, companion: Companion | None = None) -> None:
        self._engine = engine
        self._companion = companion

    async def probe(self, instance: Instance, check: HealthCheck) -> ProbeResult:
        if instance.state != "running":
            return ProbeResult(ready=False, running=False, detail=_why_not_running(instance))
        if check.type == "none":
            return ProbeResult(ready=True, detail="running")
        if check.type == "command":
            return await self._command(instance, check)
        port = check.port or next((p.port for p in instance.ports if p.protocol == "tcp"), None)
        if port is None:
            return ProbeResult(ready=False, detail=f"the {check.type} check names no port and the component has none")
        return await self._port(instance, check, port)

    async def listening(self, instance: Instance, pid: int) -> tuple[Listener, ...] | None:
        """`pid`: of its program, on the engine's machine. From inside where the image has `cat`."""
        if instance.state != "running":
            return ()
        code, output = await self._run(instance, _SHOW_TABLES)
        if code not in _NO_SUCH_PROGRAM:
            return listeners(output) if _HEADING in output else None
        if not (self._engine.connection.local and instance.address):
            return None
        table = await asyncio.to_thread(_seen_from_here, pid, instance.address)
        return None if table is None else listeners(table)

    async def _port(self, instance: Instance, check: HealthCheck, port: int) -> ProbeResult:
        connection = self._engine.connection
        if connection.local and instance.address:
            return await self._asked(check, instance.address, port)
        if connection.tunnel and instance.address:
            # A check by gRPC is no more than a connection there.
            patience_s = 0 if check.type == "http" else _PATIENCE_S
            return await probe_port(check, instance.address, port, through(connection.tunnel, patience_s))
        published = next((p.host_port for p in instance.ports if p.port == port and p.host_port), None)
        if published:
            return await self._asked(check, connection.host, published)
        if self._companion and instance.address:
            with suppress(NotFound, Conflict):
                return await probe_port(check, instance.address, port, beside(self._companion))
        return await self._listening(instance, check, port)

    async def _asked(self, check: HealthCheck, host: str, port: int) -> ProbeResult:
        if check.type != "grpc":
            return await probe_port(check, host, port)
        grpc_health = await asyncio.to_thread(import_module, "iarnet.providers.grpc_health")
        found: ProbeResult = await grpc_health.probe_grpc(check, host, port)
        return found

    async def _command(self, instance: Instance, check: HealthCheck) -> ProbeResult:
        shown = " ".join(check.command)
        try:
            async with asyncio.timeout(check.timeout_s):
                code, output = await self._run(instance, list(check.command))
        except TimeoutError:
            return ProbeResult(ready=False, detail=f"{shown}: no end within {check.timeout_s:g} s")
        said = f": {output.strip()[-_SHOWN:]}" if output.strip() else ""
        return ProbeResult(ready=code == 0, detail=f"{shown}: exit code {code}{said}")

    async def _listening(self, instance: Instance, check: HealthCheck, port: int) -> ProbeResult:
        """What is left for an engine whose containers can't be reached: whether something listens on the port."""
        code, output = await self._run(instance, _SHOW_TABLES)
        if code in _NO_SUCH_PROGRAM:
            return ProbeResult(
                ready=False,
                detail=f"port {port} can't be checked: {self._engine.connection.url} is remote, the port is not "
                "published, and the image has no `cat` to look from inside; publish it or give a command check",
            )
        what = (
            f"port {port}, seen from inside the container (not requested: a {check.type} check over a remote engine)"
        )
        listens = Listener(port=port) in listeners(output)
        return ProbeResult(ready=listens, detail=f"{what}: {'listening' if listens else 'nothing listens'}")

    async def _run(self, instance: Instance, command: list[str]) -> tuple[int, str]:
        try:
            return await self._execute(instance.id, command)
        except ProviderUnavailable:
            raise
        except (Conflict, IarnetError) as e:
            return 1, e.message

    async def _execute(self, id: str, command: list[str]) -> tuple[int, str]:
        """As a stream, which a timeout can leave; a call would keep its thread as long as the command runs."""
        run = (await self._engine.ask(lambda c: c.exec_create(id, command)))["Id"]
        output = b""
        async with aclosing(
            self._engine.stream(lambda c: stream(c, "POST", f"/exec/{run}/start", frames, json=_ATTACHED))
        ) as received:
            async for _, data in received:
                output = (output + data)[-_KEPT:]
        ended = await self._engine.ask(lambda c: c.exec_inspect(run))
        return int(ended["ExitCode"]), output.decode(errors="replace")


def listeners(table: str) -> tuple[Listener, ...]:
    """The listening sockets in the text of `/proc/net/tcp` and `tcp6` (see proc(5))."""
    rows = [line.split() for line in table.splitlines()]
    places = {r[1] for r in rows if len(r) > 3 and r[3] == _LISTENING}
    return tuple(_listener(*place.split(":")) for place in sorted(places))


def _listener(address: str, port: str) -> Listener:
    """`address` in hexadecimal, as words of four bytes that the machine has in its own order."""
    words = [bytes.fromhex(address[at : at + 8]) for at in range(0, len(address), 8)]
    found = ip_address(b"".join(word[::-1] if sys.byteorder == "little" else word for word in words))
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return Listener(port=int(port, 16), loopback=(mapped or found).is_loopback)


def _seen_from_here(pid: int, address: str) -> str | None:
    """The sockets of a process, if it is one of this machine's and `address` is its own. Reads `/proc` (proc(5)).

    An engine in a virtual machine numbers the processes there: the number may be somebody else's here.
    """
    net = Path(f"/proc/{pid}/net")
    try:
        if address not in (net / "fib_trie").read_text().split():
            return None
        return "".join((net / name).read_text() for name in _TABLES if (net / name).exists())
    except OSError:
        return None


def through(tunnel: SshTunnel, patience_s: float) -> Dial:
    """Connections that the engine's own host makes, over the SSH connection that is open already.

    `ssh -W` says when a connection is refused, not when it is made: no refusal within `patience_s` counts as made.
    """

    @asynccontextmanager
    async def dial(host: str, port: int) -> AsyncIterator[Pair]:
        pipe = asyncio.subprocess.PIPE
        command = tunnel.dial_command(host, port)
        process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe)
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            await _not_refused(process, patience_s)
            yield process.stdout, process.stdin
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    return dial


def beside(companion: Companion) -> Dial:
    """Connections that it makes. They raise `NotFound` or `Conflict` when it does not run."""

    @asynccontextmanager
    async def dial(host: str, port: int) -> AsyncIterator[Pair]:
        channel, reader = await companion.connect(f"{host}:{port}"), asyncio.StreamReader()
        feeding = asyncio.create_task(_feed(reader, channel))
        try:
            yield reader, channel.writer
        finally:
            feeding.cancel()
            channel.close()

    return dial


async def _feed(reader: asyncio.StreamReader, channel: Channel) -> None:
    while data := await channel.read():
        reader.feed_data(data)
    reader.feed_eof()


async def _not_refused(process: asyncio.subprocess.Process, patience_s: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(patience_s):
            await process.wait()
    if process.returncode is not None:
        said = await process.stderr.read() if process.stderr else b""
        raise ConnectionRefusedError(0, said.decode(errors="replace").strip().partition("\n")[0])


def _why_not_running(instance: Instance) -> str:
    how = "" if instance.exit_code is None else f": it {instance.end}"
    return f"{instance.state}{how}{': ' + instance.message if instance.message else ''}"
