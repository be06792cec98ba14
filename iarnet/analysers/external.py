"""A program elsewhere that analyses, asked over gRPC; the built-in analysis stands in for it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from iarnet.analysers import reading
from iarnet.analysers.base import FELL_BACK, Analyser
from iarnet.analysers.scratch import Scratch, write_out
from iarnet.analysis.document import document
from iarnet.errors import IarnetError, InvalidInput, NodeUnreachable
from iarnet.models.analysis import Analysis, Warning
from iarnet.sources.base import Sources

_MAX_ANSWER = 16 << 20
log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class ExternalAnalyser:
    """`iarnet.analysers.base.Analyser`. It gets the path of a folder, which it must be able to read.

    `address` is `host:port`, `timeout_s` for the answer. Without a `ca_file`, TLS trusts whom gRPC trusts.
    """

    address: str
    timeout_s: float
    sources: Sources
    scratch: Scratch
    instead: Analyser
    token_file: Path | None = None
    tls: bool = False
    ca_file: Path | None = None

    async def analyze(self, app: str, tree: str, folder: str) -> Analysis:
        """What it says; what the built-in one says, with a warning, when it says nothing that can be used."""
        try:
            said = await self._asked(app, tree, folder)
            return reading.credible(reading.analysis(await self._completed(said, app, tree, folder)))
        except (IarnetError, OSError) as error:
            why = error.message if isinstance(error, IarnetError) else str(error)
        log.warning("the analyser can't be used", address=self.address, app=app, reason=why)
        found = await self.instead.analyze(app, tree, folder)
        message = f"the analyser at {self.address}: {why}; this is what the built-in one says"
        return found.model_copy(update={"warnings": (Warning(code=FELL_BACK, message=message), *found.warnings)})

    async def _asked(self, app: str, tree: str, folder: str) -> dict[str, Any]:
        from iarnet.analysers import messages

        async with self.scratch.folder() as place:
            await write_out(self.sources, app, tree, folder, place)
            encoded = await self._call(messages.METHOD, messages.request(str(place)))
        return await asyncio.to_thread(messages.answered, encoded)

    async def _call(self, method: str, request: bytes) -> bytes:
        # Imported with the first question: it would be part of every start.
        import grpc

        # Neither an answer without end, nor a proxy of the environment in between.
        options = [("grpc.max_receive_message_length", _MAX_ANSWER), ("grpc.enable_http_proxy", 0)]
        token, authorities = await asyncio.gather(_read(self.token_file), _read(self.ca_file))
        if self.tls:
            channel = grpc.aio.secure_channel(self.address, grpc.ssl_channel_credentials(authorities), options)
        else:
            channel = grpc.aio.insecure_channel(self.address, options)
        metadata = [("authorization", f"Bearer {_text(token)}")] if token else []
        async with channel:
            try:
                answer = await channel.unary_unary(method)(request, timeout=self.timeout_s, metadata=metadata)
            except grpc.aio.AioRpcError as error:
                raise _unusable(error.code().name, error.details() or "", self.timeout_s) from error
        return bytes(answer)

    async def _completed(self, said: dict[str, Any], app: str, tree: str, folder: str) -> Mapping[str, Any]:
        """The documented messages don't say how a component is made: the built-in analysis does, by its name."""
        components = said.get("components", [])
        if not components:
            raise InvalidInput("it names no component")
        if all(_is_whole(each) for each in components):
            return said
        own = document(await self.instead.analyze(app, tree, folder))
        known = {each["id"]: each for each in own["components"]}
        whole = [each if _is_whole(each) else _over(known, each) for each in components]
        return {**said, "components": whole, "evidence": [*said.get("evidence", []), *own["evidence"]]}


def _is_whole(component: Mapping[str, Any]) -> bool:
    return "image" in component or "build" in component


def _over(known: Mapping[str, Mapping[str, Any]], said: Mapping[str, Any]) -> Mapping[str, Any]:
    name = str(said.get("id", ""))
    if name not in known:
        raise InvalidInput(f"it does not say how {name!r} is made, and the built-in analysis knows no such component")
    return {**known[name], **said}


async def _read(file: Path | None) -> bytes | None:
    return await asyncio.to_thread(file.read_bytes) if file else None


def _text(token: bytes) -> str:
    found = token.decode("ascii", "replace").strip()
    if not (found.isascii() and found.isprintable()):
        raise InvalidInput("the file with its token holds something else", where="analysis.token_file")
    return found


def _unusable(status: str, details: str, timeout_s: float) -> NodeUnreachable:
    if status == "DEADLINE_EXCEEDED":
        return NodeUnreachable(f"no answer within {timeout_s:g} s")
    return NodeUnreachable(f"{status}: {reading.plain(details)}")
