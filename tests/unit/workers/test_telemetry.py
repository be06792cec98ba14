"""Traces that nobody takes."""

import asyncio
import socket

from iarnet import tracing
from workers.telemetry import tracing_to

# A request to a collector is given up after ten.
SOON_S = 8.0


async def test_a_collector_that_does_not_answer_holds_up_nothing() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        async with asyncio.timeout(SOON_S):
            async with tracing_to(f"http://127.0.0.1:{silent.getsockname()[1]}", "here"):
                with tracing.request("POST", "/api/v1/apps", {}):
                    assert len(tracing.trace_id()) == 32
    assert tracing.trace_id() == ""
