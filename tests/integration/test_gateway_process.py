"""The Envoy process: one for a place, whoever asks."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from iarnet.errors import Missing
from iarnet.gateway import access_log, process
from iarnet.gateway.admin import Admin
from iarnet.gateway.process import Place
from tests.integration.gateway_world import Load, ask, eventually, gateway_world


@pytest.fixture
async def where(tmp_path: Path) -> AsyncIterator[Place]:
    made = process.place(tmp_path / "gateway")
    yield made
    await process.stop(made)


async def test_it_is_adopted_by_the_next_node_and_ends_when_it_is_told(where: Place) -> None:
    envoy = await process.start(where)
    assert await process.start(process.place(where.directory)) == envoy
    await process.stop(where)
    assert not psutil.pid_exists(envoy.pid) or psutil.Process(envoy.pid).status() == psutil.STATUS_ZOMBIE
    assert not where.record.exists()


async def test_it_is_started_again_when_it_ends(where: Place) -> None:
    envoy = await process.start(where)
    keeping = asyncio.create_task(process.keep(where, envoy))
    try:
        os.kill(envoy.pid, signal.SIGKILL)
        admin = Admin(where.admin)
        await eventually(lambda: str(envoy.pid) not in where.record.read_text())
        await eventually(admin.answers)
        await admin.aclose()
    finally:
        keeping.cancel()


async def test_its_log_is_begun_anew_when_it_is_long(where: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    envoy = await process.start(where)
    monkeypatch.setattr("iarnet.gateway.process._LOG_BYTES", 10_000)
    with where.log.open("ab") as file:
        file.write(b"x" * 20_000)
    keeping = asyncio.create_task(process.keep(where, envoy))
    try:
        await eventually(lambda: where.log.stat().st_size < 10_000)
    finally:
        keeping.cancel()


async def test_its_files_stay_short_while_there_is_no_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iarnet.gateway.process._FILE_BYTES", 50_000)
    async with gateway_world(tmp_path) as world:
        admin, path = Admin(world.where.admin), world.where.access_log
        await access_log.set_share(admin, 1.0)
        await world.serve()
        await world.replica()
        async with Load(world.url) as load:
            await eventually(lambda: path.exists() and path.stat().st_size == 50_000)
            await load.more()
        assert load.failed == []
        assert path.stat().st_size == 50_000
        monkeypatch.setattr("iarnet.gateway.access_log._BYTES", 40_000)
        keeping = asyncio.create_task(access_log.keep_short(path, admin))
        await eventually(lambda: path.with_name("access.log.1").exists() and path.exists())
        keeping.cancel()
        assert await ask(world.url) == "iarnet-shop-api-r1-0"
        await eventually(lambda: path.stat().st_size > 0)
        await admin.aclose()


async def test_only_we_may_use_its_sockets(where: Place) -> None:
    await process.start(where)
    assert where.admin.stat().st_mode & 0o077 == 0
    assert where.sockets.stat().st_mode & 0o077 == 0


def test_an_envoy_whose_directory_was_lost_is_not_led_by_the_next_node(tmp_path: Path) -> None:
    """It asks for its configuration at the old path for ever, and two that listen at the same addresses fail both."""
    first = process.place(tmp_path / "gateway")
    shutil.rmtree(first.directory)
    second = process.place(tmp_path / "gateway")
    assert second.directory == first.directory
    assert second.ads != first.ads
    assert process.place(tmp_path / "gateway") == second


async def test_a_place_may_be_deeper_than_a_socket_can_be(tmp_path: Path) -> None:
    deep = process.place(tmp_path / ("d" * 60) / ("e" * 60) / "gateway")
    try:
        assert deep.sockets != deep.directory
        assert deep.sockets == process.place(deep.directory).sockets
        assert deep.sockets.stat().st_mode & 0o077 == 0
        await process.start(deep)
    finally:
        await process.stop(deep)
    deep.sockets.chmod(0o755)
    with pytest.raises(Missing, match="only this user"):
        process.place(deep.directory)
    deep.admin.unlink(missing_ok=True)
    deep.sockets.rmdir()


async def test_a_program_that_ends_is_missing_with_its_last_words(where: Place, tmp_path: Path) -> None:
    program = tmp_path / "envoy"
    program.write_text("#!/bin/sh\necho no such option >&2\nexit 3\n")
    program.chmod(0o755)
    with pytest.raises(Missing, match="exit code 3") as missing:
        await process.start(where, binary=str(program))
    assert missing.value.log[-1] == "no such option"
    with pytest.raises(Missing, match="no Envoy program"):
        await process.start(where, binary=str(tmp_path / "nothing"))
