"""Ending the program of a container."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any

from iarnet.errors import Conflict
from iarnet.models.container import STOP_S
from iarnet.providers.docker.engine import Engine, or_none

_YOUNG_S = 1.0


class Stopper:
    """`now`: seconds since 1970."""

    def __init__(self, engine: Engine, now: Callable[[], float]) -> None:
        self._engine = engine
        self._now = now

    async def stop(self, container: dict[str, Any]) -> None:
        """The signal that it wants (SIGTERM), after its time (10 s) SIGKILL; returns when it has ended. Nothing
        running there is fine."""
        id = container["Id"]
        if self._is_young(container):
            await self._ask_to_end(id, container["Config"].get("StopSignal") or "SIGTERM")
        patience = container["Config"].get("StopTimeout")
        patience = int(STOP_S) if patience is None else patience
        await or_none(self._engine.call(lambda c: c.stop(id, timeout=patience)))

    async def _ask_to_end(self, id: str, sign: str) -> None:
        """The signal once before the real stop.

        The kernel drops a signal to the first process of a container until that process has said how it takes it. One
        in a hundred containers that were stopped right after their start missed it and took the whole 10 s.
        """
        with suppress(Conflict):  # it has ended meanwhile
            await or_none(self._engine.call(lambda c: c.kill(id, sign)))
        with suppress(TimeoutError):
            async with asyncio.timeout(_YOUNG_S):
                await or_none(self._engine.ask(lambda c: c.wait(id, timeout=int(STOP_S))))

    def _is_young(self, container: dict[str, Any]) -> bool:
        if not container["State"]["Running"]:
            return False
        age_s = self._now() - datetime.fromisoformat(container["State"]["StartedAt"]).timestamp()
        return abs(age_s) < _YOUNG_S
