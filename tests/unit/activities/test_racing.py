"""Two at once, and something that ends in between."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from temporalio.testing import ActivityEnvironment

from activities.analyzing import Analyzing
from activities.ports import HostPorts
from activities.revising import Revising
from activities.sourcing import Sourcing
from iarnet.analysers.built_in import BuiltIn
from iarnet.analysis.corrections import apply_corrections
from iarnet.analysis.engine import analyze
from iarnet.builds.absent import AbsentBuilder
from iarnet.errors import PortTaken
from iarnet.models.change import AnalyzeRequest, Deployment, ImportRequest
from iarnet.models.change import ChangeRequest as Request
from iarnet.models.component import Component, Port
from iarnet.models.source import GitSource
from iarnet.models.work import Prepare
from iarnet.providers.memory import MemoryProvider
from iarnet.secrets.sealed import MemoryRows, SealedSecrets
from iarnet.sources.git import GitSources
from iarnet.store.open import open_store
from iarnet.store.sql import SqlStore
from tests.e2e.busybox import application, described, worker

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    store = await open_store(f"sqlite:///{tmp_path}/iarnet.db", lambda: datetime.now(UTC))
    yield store
    await store.aclose()


def web(publish: str = "auto", host_port: int | None = None) -> Component:
    port = Port.model_validate({"port": 80, "publish": publish, "host_port": host_port})
    return Component(name="web", kind="web", image="a", ports=(port,))


async def test_apps_that_choose_at_once_get_a_port_each(store: SqlStore) -> None:
    ports, provider = HostPorts(store.ledger, range(20_000, 20_010)), MemoryProvider()
    chosen = await asyncio.gather(*(ports.choose(f"app{n}", [web()], provider, set(), False) for n in range(10)))
    assert {port for found, _ in chosen for port in found.values()} == set(range(20_000, 20_010))
    with pytest.raises(PortTaken, match="No port of 20000-20009"):
        await ports.choose("late", [web()], provider, set(), False)


async def test_of_those_that_want_the_same_port_one_gets_it(store: SqlStore) -> None:
    ports, provider = HostPorts(store.ledger, range(20_000, 20_010)), MemoryProvider()
    asked = (ports.choose(f"app{n}", [web("exact", 9000)], provider, set(), False) for n in range(5))
    answers = await asyncio.gather(*asked, return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, BaseException)]
    assert len(refused) == 4
    assert all(isinstance(each, PortTaken) and "web of the app app" in each.message for each in refused)


async def test_an_import_that_ends_meanwhile_does_not_change_what_is_deployed(
    store: SqlStore, tmp_path: Path
) -> None:
    source = application(tmp_path / "repository", worker("one"))
    sources, secrets = GitSources(tmp_path / "objects", allow_file=True), SealedSecrets(MemoryRows(), b"k" * 32)
    sourcing = Sourcing(store, sources, secrets, AbsentBuilder(), lambda: datetime.now(UTC))
    run = ActivityEnvironment().run
    git = GitSource(url=source.url)
    await run(sourcing.import_source, ImportRequest(app="shop", git=git))
    analysed = await run(Analyzing(store, BuiltIn(sources, analyze)).analyze_source, AnalyzeRequest(app="shop"))
    source.write("iarnet.yaml", described(worker("two"))).commit()
    later = await run(sourcing.import_source, ImportRequest(app="shop"))
    assert later.commit != analysed.commit
    revising = Revising(store, sources, secrets, lambda *_: "", apply_corrections, lambda: NOW)
    prepare = Prepare(deployment=deployment(), request=Request(app="shop"), commit=analysed.commit, dry_run=True)
    revision = (await revising.target(prepare)).revision
    assert (revision.commit, [c.name for c in revision.components]) == (analysed.commit, ["one"])


def deployment() -> Deployment:
    return Deployment(
        id="shop.1", app="shop", number=1, epoch=1, cause="deploy", workflow_id="w", run_id="r", started_at=NOW
    )
