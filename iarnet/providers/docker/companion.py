"""A container of ours beside an engine's instances, in the network of the engine's own host. It outlives us."""

import asyncio
import hashlib
import json
import platform
import tarfile
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Any

from iarnet.errors import Conflict, ProviderError, SpecMismatch
from iarnet.providers.docker.channel import Channel, run
from iarnet.providers.docker.engine import Engine, or_none
from iarnet.providers.docker.images import Images, has
from iarnet.providers.docker.request import request
from iarnet.providers.docker.spec import OWNER

DIRECTORY = "/run/iarnet"

MADE_OF = "iarnet.gateway"
"""The label by which one is known: its image and command, as a hash."""

_BUILT = "iarnet-gateway"
_PROGRAM = "envoy"
_RELAY = Path(__file__).with_name("relay.pl").read_text()
_LOGS = {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}}
_LAST_LINES = 10
_STOP_S = 5


@dataclass(frozen=True)
class Base:
    """The image that a companion is made from, which may lack its program: then that of this machine is added.

    `retired`: there is to be none any more, and one that runs is for what it leads to already.
    """

    image: str
    whole: bool = False
    retired: bool = False

    def fits(self, info: dict[str, Any]) -> bool:
        """Whether the engine (`docker info`) can run it with the network of the host that others reach, which is not
        there in a virtual machine or without root."""
        rootless = "name=rootless" in (info.get("SecurityOptions") or ())
        is_server = info.get("OSType") == "linux" and info.get("OperatingSystem") != "Docker Desktop"
        return is_server and not rootless and (self.whole or info["Architecture"] == platform.machine())


class Companion:
    """Named `name`. In it, `DIRECTORY` is empty when it starts."""

    def __init__(self, engine: Engine, images: Images, base: Base, *, owner: str, name: str) -> None:
        self._engine = engine
        self._images = images
        self._base = base
        self._owner = owner
        self._name = name

    async def image(self, program: Path) -> str:
        """The one with this program as `envoy`, unless it has its own; built there when it is missing.

        Raises `ImageUnavailable` when the base can't be had, `ProviderError`.
        """
        base = self._base.image
        if self._base.whole:
            await self._images.ensure(base, None)
            return base
        name = f"{_BUILT}:{await asyncio.to_thread(_digest, base, program)}"
        if not await has(self._engine, name):
            await self._images.ensure(base, None)
            await self._build(name, program)
        return name

    @property
    def retired(self) -> bool:
        return self._base.retired

    async def runs(self) -> bool:
        """Raises as `ensure`."""
        found = await self._found()
        return found is not None and bool(found["State"]["Running"])

    async def ensure(self, image: str, command: Sequence[str], *, replace: bool) -> bool:
        """Have it run; with `replace`, as one of this image and command. Whether it is of these.

        Raises `SpecMismatch` when a container of this name is not ours.
        """
        wanted = hashlib.sha256(json.dumps([image, *command]).encode()).hexdigest()[:16]
        found = await self._found()
        same = found is not None and found["Config"]["Labels"].get(MADE_OF) == wanted
        if found and not same and replace:
            await self.remove()
            found = None
        if found is None:
            await self._make(image, command, wanted)
        elif not found["State"]["Running"]:
            await self._engine.call(lambda c: c.start(self._name))
        return found is None or same

    async def connect(self, where: str) -> Channel:
        """From in there, to the path of a unix socket or to `host:port`.

        Raises `OSError` when nobody listens, `NotFound` and `Conflict` when it does not run, `ProviderUnavailable`.
        """
        channel = await self._relayed("connect", where)
        if not await channel.read():
            channel.close()
            raise ConnectionError(channel.complaint.strip() or "refused")
        return channel

    async def listen(self, path: str) -> Channel:
        """For the first that connects to a unix socket in there, instead of whoever did so before us."""
        return await self._relayed("listen", path)

    async def last_lines(self) -> tuple[str, ...]:
        said = await or_none(self._engine.ask(lambda c: c.logs(self._name, tail=_LAST_LINES)))
        return tuple((said or b"").decode(errors="replace").splitlines())

    async def remove(self) -> None:
        """Nothing there is fine. Raises as `ensure`."""
        if await self._found() is None:
            return
        await or_none(self._engine.call(lambda c: c.stop(self._name, timeout=_STOP_S)))
        await or_none(self._engine.call(lambda c: c.remove_container(self._name, v=True, force=True)))

    async def _found(self) -> dict[str, Any] | None:
        found = await self._engine.container(self._name)
        if found and (found["Config"]["Labels"] or {}).get(OWNER) != self._owner:
            raise SpecMismatch(
                f"A container {self._name} exists that this node did not make",
                where=self._engine.connection.url,
                hint=f"remove or rename it (`docker rm {self._name}`)",
            )
        return found

    async def _relayed(self, how: str, where: str) -> Channel:
        return await run(self._engine, self._name, ["perl", "-e", _RELAY, how, where])

    async def _make(self, image: str, command: Sequence[str], made_of: str) -> None:
        body: dict[str, Any] = {
            "Image": image,
            "Entrypoint": list(command),
            "Cmd": [],
            "User": "0",
            "Labels": {OWNER: self._owner, MADE_OF: made_of},
            "HostConfig": {
                "NetworkMode": "host",
                "UsernsMode": "host",
                "RestartPolicy": {"Name": "always"},
                "Init": True,
                "CapDrop": ["ALL"],
                "CapAdd": ["NET_BIND_SERVICE"],
                "SecurityOpt": ["no-new-privileges"],
                "Tmpfs": {DIRECTORY: "mode=0700"},
                "LogConfig": _LOGS,
            },
        }
        with suppress(Conflict):  # a call that was cancelled has made it
            await self._engine.call(
                lambda c: c.create_container_from_config(body, name=self._name)  # type: ignore[no-untyped-call]
            )
        await self._engine.call(lambda c: c.start(self._name))

    async def _build(self, name: str, program: Path) -> None:
        with tempfile.TemporaryFile() as context:
            await asyncio.to_thread(_write, context, self._base.image, program)
            context.seek(0)
            how = {
                "params": {"t": name, "rm": 1, "forcerm": 1, "networkmode": "none"},
                "headers": {"Content-Type": "application/x-tar", "Content-Encoding": "gzip"},
            }
            said = await self._engine.call(lambda c: request(c, "POST", "/build", data=context, **how).text)
        if not await has(self._engine, name):
            why = json.loads(said.splitlines()[-1]).get("error", said) if said else "no answer"
            raise ProviderError(f"The image of the gateway can't be built: {why}", where=self._engine.connection.url)


def _digest(base: str, program: Path) -> str:
    with program.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    return hashlib.sha256(f"{base} {content}".encode()).hexdigest()[:16]


def _write(context: IO[bytes], base: str, program: Path) -> None:
    """Compressed quickly: 107 MB become 41 in a second and a half of a core."""
    recipe = f"FROM {base}\nCOPY {_PROGRAM} /usr/local/bin/\n".encode()
    with tarfile.open(fileobj=context, mode="w:gz", compresslevel=1, format=tarfile.GNU_FORMAT) as archive:
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(recipe)
        archive.addfile(entry, BytesIO(recipe))
        archive.add(program, _PROGRAM, filter=_plain)


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """The same wherever it was installed, so that the engine's cache knows it."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime, entry.mode = 0, 0o755
    return entry
