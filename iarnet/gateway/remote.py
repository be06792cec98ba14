"""An Envoy in a container beside an engine elsewhere. Whatever passes between us goes through that engine's API, and
there is a socket here for each of Envoy's there.
"""

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import structlog

from iarnet.errors import GatewayUnavailable, IarnetError
from iarnet.gateway.admin import Admin
from iarnet.gateway.process import Place, bootstrap, options

DIRECTORY = "/run/iarnet"
"""Of the sockets over there."""

ACCESS_LOG = Path("/dev/stdout")
"""Over there it is what `docker logs` shows, which the engine keeps short."""

_WITH_ALL_SOCKETS = 'ulimit -n "$(ulimit -H -n)"; exec envoy "$@"'
"""Each listener takes a socket per thread; the usual soft limit of 1,024 would end that early."""

_THERE = Place(Path(DIRECTORY), Path(DIRECTORY))
_READ = 1 << 16
_READY_S = 20.0
_LOOK_S = 0.05
_AGAIN_S = 1.0

log = structlog.get_logger()


class Channel(Protocol):
    """A connection: nothing is read at its end, and to write raises `OSError` then."""

    complaint: str
    """Why it ended, if that is known."""

    async def read(self) -> bytes: ...

    async def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...


class Host(Protocol):
    """One container on the engine's own host, in the network of that. All raise `ProviderError`."""

    async def ensure(self, image: str, command: Sequence[str], *, replace: bool) -> bool:
        """Have it run; with `replace`, as one of this image and command. Whether it is of these."""
        ...

    async def connect(self, where: str) -> Channel:
        """To a unix socket in it. Raises `OSError` when nobody listens there."""
        ...

    async def listen(self, path: str) -> Channel:
        """For the first that connects to a unix socket in it, instead of whoever did so before us."""
        ...

    async def last_lines(self) -> tuple[str, ...]: ...

    async def remove(self) -> None: ...


class RemoteEnvoy:
    """`where` has the sockets here: at its `ads` a server of configurations listens, its `admin` is made by us."""

    def __init__(self, host: Host, image: str, where: Place, *, concurrency: int = 0, access_log: float = 0) -> None:
        self._host = host
        self._image = image
        self._where = where
        self._command = [
            *(
                "sh",
                "-c",
                _WITH_ALL_SOCKETS,
                "envoy",
                "--config-yaml",
                json.dumps(bootstrap(_THERE, access_log), sort_keys=True),
            ),
            *options(concurrency),
        ]
        self._server: asyncio.Server | None = None
        self._joined: set[asyncio.Task[None]] = set()

    async def start(self, *, replace: bool) -> None:
        """The one that is there, and its admin socket here; with `replace` not one that was started otherwise.

        Raises `ProviderError`, `GatewayUnavailable`.
        """
        if not await self._host.ensure(self._image, self._command, replace=replace):
            log.warning("the gateway there is an older one, and stays until it leads nothing", image=self._image)
        self._where.admin.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._accept, self._where.admin)
        self._where.admin.chmod(0o600)
        try:
            await self._ready()
        except BaseException:
            await self.aclose()
            raise

    async def drive(self) -> None:
        """Lead it to the server of configurations, again whenever that ends; until cancelled."""
        said = ""
        while True:
            try:
                await self._host.ensure(self._image, self._command, replace=False)
                problem = await self._lead()
            except (IarnetError, OSError) as error:
                problem = str(error)
            if problem and problem != said:
                log.warning("the gateway there is out of reach; its traffic goes on", problem=problem)
            said = problem
            if problem:
                await asyncio.sleep(_AGAIN_S)

    async def aclose(self) -> None:
        """It goes on."""
        if self._server:
            self._server.close()
        for task in self._joined:
            task.cancel()
        await asyncio.gather(*self._joined, return_exceptions=True)

    async def _lead(self) -> str:
        """Until that ends; why it could not begin, if so."""
        channel = await self._host.listen(str(_THERE.ads))
        try:
            first = await channel.read()
            if not first:
                return channel.complaint or "it was ended by somebody else"
            reader, writer = await asyncio.open_unix_connection(self._where.ads)
            writer.write(first)
            await _join(channel, reader, writer)
            return ""
        finally:
            channel.close()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._ask(reader, writer))
        self._joined.add(task)
        task.add_done_callback(self._joined.discard)

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            channel = await self._host.connect(str(_THERE.admin))
            try:
                await _join(channel, reader, writer)
            finally:
                channel.close()
        except (IarnetError, OSError) as error:
            log.debug("the gateway there can't be asked", problem=str(error))
        finally:
            writer.close()

    async def _ready(self) -> None:
        admin = Admin(self._where.admin)
        try:
            async with asyncio.timeout(_READY_S):
                while not await admin.answers():  # noqa: ASYNC110 - the other is another process
                    await asyncio.sleep(_LOOK_S)
        except TimeoutError:
            raise GatewayUnavailable(
                f"Envoy does not answer on that host within {_READY_S:g} s.",
                hint="`docker logs` of its container says more. It needs an image with glibc and Perl.",
                log=await self._host.last_lines(),
            ) from None
        finally:
            await admin.aclose()


async def _join(channel: Channel, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until either side ends."""

    async def out() -> None:
        with suppress(OSError):
            while data := await channel.read():
                writer.write(data)
                await writer.drain()

    async def back() -> None:
        with suppress(OSError):
            while data := await reader.read(_READ):
                await channel.write(data)

    tasks = [asyncio.create_task(out()), asyncio.create_task(back())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        writer.close()
