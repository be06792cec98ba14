"""Who keeps the embedded Temporal does not give up, whatever the machine refuses."""

import asyncio
import contextlib
import os

import psutil
import pytest
from structlog.testing import capture_logs

from iarnet.errors import Missing
from workers import temporal_server
from workers.temporal_server import TemporalServer


async def test_it_is_started_again_as_soon_as_the_machine_lets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(temporal_server, "_LOOK_S", 0.01)
    monkeypatch.setattr(temporal_server, "_AGAIN_S", 0.01)
    ended = TemporalServer(pid=2**22, created=0.0, port=7233, ui_port=8233)
    up = TemporalServer(os.getpid(), psutil.Process().create_time(), 7233, 8233)
    refusals = [OSError("No space left on device"), BlockingIOError("fork"), Missing("it says nothing")]
    started = asyncio.Event()

    async def launch(*, port: int, ui_port: int, same: bool = False) -> TemporalServer:
        assert (port, ui_port, same) == (7233, 8233, True)
        if refusals:
            raise refusals.pop(0)
        started.set()
        return up

    with capture_logs() as lines:
        keeping = asyncio.create_task(temporal_server.keep(ended, launch))
        await started.wait()
        keeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeping
    problems = [line["problem"] for line in lines if line["log_level"] == "error"]
    assert problems == ["No space left on device", "fork", "it says nothing"]
