"""Output of a container, line by line, with its times and the stream it came from."""

import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from datetime import datetime
from typing import Literal

import requests

from iarnet.models.instance import LogLine, LogQuery
from iarnet.providers.docker.engine import Engine
from iarnet.providers.docker.request import stream

Frame = tuple[Literal["stdout", "stderr"], bytes]

_HEADER = struct.Struct(">BxxxL")
_LONGEST = 64 * 1024


async def logs(
    engine: Engine, id: str, name: str, query: LogQuery, now: Callable[[], float], *, terminal: bool = False
) -> AsyncIterator[LogLine]:
    """`now`: seconds since 1970; lines carry `name`; `terminal`: whether its program has one. Raises `NotFound`."""
    parameters = {
        "stdout": 1,
        "stderr": 1,
        "timestamps": 1,
        "follow": int(query.follow),
        "tail": query.tail,
        "since": "" if query.since_s is None else f"{now() - query.since_s:.9f}",
    }
    lines = Lines(name)
    cut = terminal_frames if terminal else frames
    async with aclosing(
        engine.stream(lambda c: stream(c, "GET", f"/containers/{id}/logs", cut, params=parameters))
    ) as received:
        async for frame in received:
            for line in lines.add(frame):
                yield line
    for line in lines.rest():
        yield line


class Lines:
    """Puts frames together to lines.

    The engine cuts long lines into frames, each with a time of its own and only the last with a line end.
    """

    def __init__(self, instance: str) -> None:
        self._instance = instance
        self._open: dict[str, LogLine] = {}

    def add(self, frame: Frame) -> list[LogLine]:
        source, data = frame
        stamp, _, text = data.decode(errors="replace").partition(" ")
        begun = self._open.pop(source, None)
        if begun is None:
            begun = LogLine(instance=self._instance, time=datetime.fromisoformat(stamp), stream=source, text="")
        line = begun.model_copy(update={"text": begun.text + text.removesuffix("\n").removesuffix("\r")})
        if text.endswith("\n") or len(line.text) >= _LONGEST:
            return [line]
        self._open[source] = line
        return []

    def rest(self) -> list[LogLine]:
        return list(self._open.values())


def terminal_frames(response: requests.Response) -> Iterator[Frame]:
    """The output of a program with a terminal: lines as they are, in one stream."""
    rest = b""
    while read := response.raw.read1(_LONGEST):
        *whole, rest = (rest + read).split(b"\n")
        yield from (("stdout", line + b"\n") for line in whole)
    if rest:
        yield "stdout", rest


def frames(response: requests.Response) -> Iterator[Frame]:
    """The output of a program without a terminal, as the engine sends it: stream and length, then so many bytes."""
    raw = response.raw
    while len(header := raw.read(_HEADER.size)) == _HEADER.size:
        number, length = _HEADER.unpack(header)
        yield ("stderr" if number == 2 else "stdout"), raw.read(length)
