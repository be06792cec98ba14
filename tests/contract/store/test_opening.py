"""Opening, migrating, and refusing what can't be opened."""

import asyncio
import sqlite3
import stat
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, bindparam, make_url, text

from iarnet.errors import InvalidConfig, Missing, StoreUnavailable
from iarnet.models.traffic import Backend, Route
from iarnet.store.columns import Moment
from iarnet.store.migrating import migrate
from iarnet.store.open import database_at, open_store
from iarnet.store.schema import HEAD
from iarnet.store.sqlite import Sqlite
from iarnet.store.tables import metadata
from tests.contract.postgres import empty, execute
from tests.contract.store.values import GIT, Watch

SHOP_OF_0001 = text(
    'INSERT INTO apps (name, title, git, status, settings, "commit", revision, epoch, created_at, updated_at)'
    " VALUES ('shop', 'My shop', :git, 'running', '{}', NULL, 3, 5, :now, :now)"
).bindparams(bindparam("now", type_=Moment))

PORT_OF_0005 = text("INSERT INTO ports (provider_id, port, app, key) VALUES ('box', :port, 'shop', :key)")


async def test_what_was_written_is_there_after_opening_again(url: str, clock: Watch) -> None:
    store = await open_store(url, clock)
    written = await store.apps.create("shop", GIT)
    await store.aclose()
    store = await open_store(url, clock)
    assert await store.apps.list() == [written]
    await store.aclose()


async def test_processes_that_open_an_empty_database_at_once_all_succeed(url: str) -> None:
    program = (
        "import asyncio, sys; from datetime import UTC, datetime; from iarnet.store.open import open_store\n"
        "async def main():\n"
        "    store = await open_store(sys.argv[1], lambda: datetime.now(UTC))\n"
        "    print(await store.apps.list())\n"
        "    await store.aclose()\n"
        "asyncio.run(main())"
    )
    command = (sys.executable, "-c", program, url)
    processes = [await asyncio.create_subprocess_exec(*command, stdout=-1, stderr=-1) for _ in range(3)]
    for process in processes:
        out, err = await process.communicate()
        assert out == b"[]\n", err.decode()


async def test_a_new_file_that_another_process_is_just_writing_is_waited_for(tmp_path: Path, clock: Watch) -> None:
    url = f"sqlite:///{tmp_path}/iarnet.db"
    other = sqlite3.connect(tmp_path / "iarnet.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    opening = asyncio.ensure_future(open_store(url, clock))
    await asyncio.sleep(0.2)  # in which it meets the lock; one that is slower to come passes, too
    other.execute("ROLLBACK")
    await (await opening).aclose()
    other.close()


async def test_the_migrations_make_what_the_tables_say(url: str, clock: Watch) -> None:
    await (await open_store(url, clock)).aclose()
    database = database_at(url)

    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert context.get_current_revision() == HEAD
        return list(compare_metadata(context, metadata))

    assert await database.read(differences) == []
    await database.aclose()


async def test_a_database_of_the_first_version_keeps_what_it_holds(url: str, clock: Watch) -> None:
    database = database_at(url)
    await database.write(lambda connection: migrate(connection, to="0001"))
    values = {"git": '{"url": "https://example.org/shop.git"}', "now": clock.now}
    await database.write(lambda connection: connection.execute(SHOP_OF_0001, values))
    await database.aclose()
    store = await open_store(url, clock)
    app = await store.apps.get("shop")
    assert (app.title, app.git, app.revision, app.created_at) == ("My shop", GIT, 3, clock.now)
    assert await store.traffic.version() == 0
    await store.traffic.put_route(Route(id="all", app="shop", component="web", to=(Backend(component="api"),)))
    await store.apps.delete("shop")
    assert await store.traffic.routes() == []
    await store.aclose()


async def test_ports_published_so_far_keep_their_transport(url: str, clock: Watch) -> None:
    database = database_at(url)
    await database.write(lambda connection: migrate(connection, to="0005"))
    keys = {53: "dns/53/udp", 8080: "web/80/tcp", 9090: "odd"}
    rows = [{"port": port, "key": key} for port, key in keys.items()]
    await database.write(lambda connection: connection.execute(PORT_OF_0005, rows))
    await database.aclose()
    store = await open_store(url, clock)
    held = {(53, "udp"): "dns/53/udp", (8080, "tcp"): "web/80/tcp", (9090, "tcp"): "odd"}
    assert await store.ledger.ports("box") == {place: ("shop", key) for place, key in held.items()}
    assert await store.ledger.claim_port("box", "other", "dns/53/tcp", (53, "tcp"))
    assert not await store.ledger.claim_port("box", "other", "dns/53/udp", (53, "udp"))
    await store.aclose()


async def test_a_database_of_a_newer_version_is_refused(url: str, clock: Watch) -> None:
    await (await open_store(url, clock)).aclose()
    database = database_at(url)
    await database.write(
        lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    )
    await database.aclose()
    with pytest.raises(
        InvalidConfig, match=r"newer version: its schema is 9999, this version knows up to \d+"
    ) as refusal:
        await open_store(url, clock)
    assert "newer version" in refusal.value.hint


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("mysql://root@localhost/x", "mysql"),
        ("nonsense", "not a URL"),
        ("sqlite://", "no file"),
        ("sqlite:///:memory:", "no file"),
    ],
)
async def test_another_kind_of_url_is_refused(wrong: str, says: str, clock: Watch) -> None:
    with pytest.raises(InvalidConfig, match=says):
        await open_store(wrong, clock)


async def test_the_file_is_for_its_owner_only(tmp_path: Path, clock: Watch) -> None:
    path = tmp_path / "new" / "folder" / "iarnet.db"
    store = await open_store(f"sqlite+aiosqlite:///{path}", clock)
    await store.apps.create("shop", GIT)
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}
    await store.aclose()


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, clock: Watch) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Missing) as refusal:
        await open_store(f"sqlite:///{tmp_path}/file/iarnet.db", clock)
    assert refusal.value.where == f"{tmp_path}/file/iarnet.db"


async def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path, clock: Watch) -> None:
    (tmp_path / "iarnet.db").write_text("a letter to my mother, certainly not a database " * 100)
    with pytest.raises(StoreUnavailable, match="not a database"):
        await open_store(f"sqlite:///{tmp_path}/iarnet.db", clock)


async def test_a_file_that_is_held_locked_is_unavailable(tmp_path: Path) -> None:
    url = make_url(f"sqlite:///{tmp_path}/iarnet.db")
    holder, other = Sqlite(url), Sqlite(url, busy_timeout_s=0.1)
    held, done = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def hold(_connection: Connection) -> None:
        loop.call_soon_threadsafe(held.set)
        asyncio.run_coroutine_threadsafe(done.wait(), loop).result()

    holding = asyncio.create_task(holder.write(hold))
    await held.wait()
    with pytest.raises(StoreUnavailable, match="locked"):
        await other.write(lambda connection: None)
    done.set()
    await holding
    await other.write(lambda connection: None)
    await holder.aclose()
    await other.aclose()


@pytest.mark.parametrize("address", ["127.0.0.1:1/x", "localhost.invalid/x"])
async def test_a_server_that_is_not_there_is_unavailable(address: str, clock: Watch) -> None:
    with pytest.raises(StoreUnavailable) as refusal:
        await open_store(f"postgresql://iarnet:secret@{address}", clock)
    assert refusal.value.retryable
    assert "secret" not in refusal.value.where


@pytest.mark.parametrize("fresh_s", [0.0, 3600.0])
async def test_a_connection_that_was_cut_is_made_anew(
    postgres: str, clock: Watch, monkeypatch: pytest.MonkeyPatch, fresh_s: float
) -> None:
    """At once where it has not been used for a while; where it just was, the first who uses it is told."""
    monkeypatch.setattr("iarnet.store.postgresql._FRESH_S", fresh_s)
    empty(postgres)
    store = await open_store(f"{postgres}/postgres", clock)
    written = await store.apps.create("shop", GIT)
    cut = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE backend_type = 'client backend'"
    execute(postgres, f"{cut} AND pid <> pg_backend_pid()")
    if fresh_s:
        with pytest.raises(StoreUnavailable):
            await store.apps.list()
    assert await store.apps.list() == [written]
    await store.apps.create("bank", GIT)
    await store.aclose()


async def test_a_database_that_the_server_lacks_is_named(postgres: str, clock: Watch) -> None:
    with pytest.raises(StoreUnavailable, match="nowhere"):
        await open_store(f"{postgres}/nowhere?sslmode=disable", clock)
