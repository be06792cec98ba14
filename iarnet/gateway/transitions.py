"""What Envoy's own checks find, from the journal to which it appends each change.

Fields: https://www.envoyproxy.io/docs/envoy/v1.40.0/api-v3/data/core/v3/health_check_event.proto
"""

import asyncio
import json
import os
from pathlib import Path

from iarnet.gateway.admin import Admin, Checked

_LONGEST = 1 << 20


class Transitions:
    """Who does not answer. While nothing changes, a look costs next to nothing, however many are checked.

    What was before the first look, or before the journal was begun anew, is asked of Envoy. Without a journal, which
    may be on another machine, each look asks.
    """

    def __init__(self, journal: Path | None, admin: Admin) -> None:
        self._journal = journal
        self._admin = admin
        self._silent: set[Checked] = set()
        self._read: int | None = None

    async def silent(self) -> set[Checked]:
        """Raises `GatewayUnavailable`."""
        if self._journal is None:
            return await self._admin.silent()
        if self._read is None:
            begin = await asyncio.to_thread(_end, self._journal)
            self._silent = await self._admin.silent()
            self._read = begin
        lines, self._read = await asyncio.to_thread(_after, self._journal, self._read)
        try:
            for line in lines:
                self._take(line)
        except (ValueError, KeyError):
            self._read = None  # a disk that is full leaves half a line
        return self._silent

    def answers(self, checked: Checked) -> None:
        """It is known to by now, whatever was read of it before."""
        self._silent.discard(checked)

    def _take(self, line: bytes) -> None:
        event = json.loads(line)
        checked = Checked(event["cluster_name"], event["host"]["socket_address"]["address"])
        if "add_healthy_event" in event:
            self._silent.discard(checked)
        elif "eject_unhealthy_event" in event or "health_check_failure_event" in event:
            self._silent.add(checked)


def _end(journal: Path) -> int:
    """Where what comes next is written. One that has grown long while nobody looked is begun anew."""
    if (size := _size(journal)) < _LONGEST:
        return size
    os.truncate(journal, 0)
    return 0


def _size(journal: Path) -> int:
    return journal.stat().st_size if journal.exists() else 0


def _after(journal: Path, begin: int) -> tuple[list[bytes], int | None]:
    """Its whole lines from `begin` on, and where they end; None when it is another one by then.

    One that is long enough is begun anew: Envoy writes at its end, wherever that is.
    """
    if (size := _size(journal)) <= begin:
        return [], begin if size == begin else None
    with journal.open("rb") as file:
        file.seek(begin)
        text = file.read()
    whole = text[: text.rfind(b"\n") + 1]
    end = begin + len(whole)
    if end < _LONGEST:
        return whole.splitlines(), end
    os.truncate(journal, 0)
    return whole.splitlines(), None
