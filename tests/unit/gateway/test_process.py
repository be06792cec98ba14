"""Who keeps Envoy, its log and its counts goes on, whatever the machine refuses for a while."""

import asyncio
import errno
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from iarnet.errors import StoreUnavailable
from iarnet.gateway import access_log, meter, process
from iarnet.gateway.admin import Admin
from iarnet.gateway.meter import Meter
from iarnet.gateway.process import Envoy, Place
from iarnet.models.traffic import Service

WITHIN_S = 20.0


@pytest.fixture
async def where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    monkeypatch.setattr(process, "_AGAIN_S", 0.01)
    made = process.place(tmp_path / "gateway")
    yield made
    await process.stop(made)


@pytest.fixture
async def admin(where: Place) -> AsyncIterator[Admin]:
    found = Admin(where.admin)
    yield found
    await found.aclose()


def full(path: Path, _: str) -> None:
    """A file is emptied before anything is written into it."""
    path.open("w").close()
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


async def no_more_processes(*_: object, **__: object) -> None:
    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))


@pytest.mark.parametrize(
    ("what", "refuses", "told"),
    [
        ("pathlib.Path.write_text", full, "No space left"),
        ("asyncio.create_subprocess_exec", no_more_processes, "temporarily unavailable"),
    ],
)
async def test_it_is_started_again_as_soon_as_the_machine_lets_it(
    where: Place, what: str, refuses: Callable[..., object], told: str
) -> None:
    envoy = await process.start(where)
    bootstrap = where.bootstrap.read_text()
    attempts = []

    def refusing(*args: object, **options: object) -> object:
        attempts.append(args)
        return refuses(*args, **options)

    with pytest.MonkeyPatch.context() as machine, capture_logs() as lines:
        machine.setattr(what, refusing)
        async with going(process.keep(where, envoy)):
            os.kill(envoy.pid, signal.SIGKILL)
            await until(lambda: len(attempts) > 3)
            assert [told in line.get("problem", "") for line in lines] == [False, True]
            assert where.bootstrap.read_text() == bootstrap
            machine.undo()
            await until(lambda: runs_anew(where, envoy))


async def test_it_is_started_again_without_its_log(where: Place) -> None:
    envoy = await process.start(where)
    where.log.unlink()
    async with going(process.keep(where, envoy)):
        os.kill(envoy.pid, signal.SIGKILL)
        await until(lambda: runs_anew(where, envoy))


async def test_an_access_log_that_can_not_be_moved_is_moved_later(
    admin: Admin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_log, "_BYTES", 1)
    monkeypatch.setattr(access_log, "_LOOK_S", 0.01)
    path, oldest = tmp_path / "access.log", tmp_path / "access.log.3"
    path.write_text("new")
    path.with_name("access.log.2").write_text("old")
    oldest.mkdir()
    with capture_logs() as lines:
        async with going(access_log.keep_short(path, admin)):
            await until(lambda: len(lines) == 1)
            oldest.rmdir()
            await until(lambda: path.with_name("access.log.1").exists())
    assert "irectory" in lines[0]["problem"]


async def test_counting_goes_on_when_the_store_answers_again(
    where: Place, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meter, "SAMPLE_S", 0.01)
    await process.start(where)
    asked = 0

    async def services() -> list[Service]:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise StoreUnavailable("busy")
        return []

    async with going(Meter(admin, services).run()):
        await until(lambda: asked > 2)


async def runs_anew(where: Place, former: Envoy) -> bool:
    found = await process.found(where)
    return found is not None and found != former


@asynccontextmanager
async def going(service: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(service)
    yield
    assert not task.done(), "it has died"
    task.cancel()


async def until(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while True:
            holds = condition()
            if holds if isinstance(holds, bool) else await holds:
                return
            await asyncio.sleep(0.01)
