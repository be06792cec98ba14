"""Who is cancelled leaves no process behind, whenever that is."""

import asyncio
import os
import secrets
import time
from pathlib import Path

import psutil
import pytest

from iarnet.sources.process import run

WITHIN_S = 20.0


def appears(file: Path) -> bool:
    deadline = time.monotonic() + WITHIN_S
    while not file.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return file.exists()


def running(marker: str) -> list[int]:
    found = []
    for process in psutil.process_iter():
        try:
            if marker in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except psutil.NoSuchProcess:
            continue
    return found


@pytest.mark.parametrize("told", ["at once", "while it starts", "when it runs"])
async def test_cancelling_ends_the_children_too(tmp_path: Path, told: str) -> None:
    marker = f"60.{secrets.randbelow(10**9):09}"
    child = tmp_path / "child"
    argv = ["sh", "-c", f"sleep {marker} & echo > {child}; wait"]
    task = asyncio.create_task(run(argv, env=dict(os.environ)))
    if told == "while it starts":
        # The program runs, and whoever has started it does not know it yet: the loop stands still.
        for _ in range(2):
            await asyncio.sleep(0)
        assert appears(child)
    elif told == "when it runs":
        assert await asyncio.to_thread(appears, child)
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=WITHIN_S)
    assert done, "it does not wait for the children either"
    assert task.cancelled()
    assert running(marker) == []
