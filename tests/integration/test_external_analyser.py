"""An analyser elsewhere is asked instead of the built-in one, which stands in for it. A real process, a real wire."""

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from temporalio.testing import ActivityEnvironment

from activities.analyzing import Analyzing
from iarnet.analysers.base import FELL_BACK
from iarnet.analysers.built_in import BuiltIn
from iarnet.analysers.external import ExternalAnalyser
from iarnet.analysers.scratch import Scratch
from iarnet.analysis.engine import analyze
from iarnet.models.analysis import Analysis
from iarnet.models.change import AnalyzeRequest
from iarnet.models.source import GitSource
from iarnet.sources.git import GitSources
from iarnet.store.open import open_store
from iarnet.store.sql import SqlStore
from tests.e2e.repository import Repository, repository

APP = "shop"
DOCKERFILE = 'FROM busybox\nEXPOSE 8080\nCMD ["httpd", "-f"]\n'
NOBODY = "127.0.0.1:1"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    program = [sys.executable, str(Path(__file__).parent / "analyser.py")]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        try:
            yield f"127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.stdin.close()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    opened = await open_store(f"sqlite:///{tmp_path}/iarnet.db", lambda: datetime.now(UTC))
    yield opened
    await opened.aclose()


@pytest.fixture
def code(tmp_path: Path) -> Repository:
    return repository(tmp_path / "shop", web__Dockerfile=DOCKERFILE, api__Dockerfile=DOCKERFILE)


class World:
    """An application that is imported, and whoever analyses it."""

    def __init__(self, store: SqlStore, code: Repository, folder: Path) -> None:
        self.store, self.folder, self._git = store, folder, GitSource(url=code.url)
        self._sources = GitSources(folder / "workspaces", allow_file=True)

    async def bring(self) -> None:
        if await self.store.facts.source(APP) is None:
            await self.store.apps.create(APP, self._git)
            commit = await self._sources.resolve(self._git)
            await self.store.facts.save_source(await self._sources.fetch(APP, self._git, commit))

    async def analyse(self, address: str, how: str = "", timeout_s: float = 60) -> Analysis:
        """What is known of it after `AnalyzeApp`'s activity."""
        await self.bring()
        (self.folder / "token").write_text(how)
        analyser = ExternalAnalyser(
            address=address,
            timeout_s=timeout_s,
            sources=self._sources,
            scratch=Scratch(self.folder / "workspaces" / "analyses"),
            instead=BuiltIn(self._sources, analyze),
            token_file=self.folder / "token" if how else None,
        )
        await ActivityEnvironment().run(Analyzing(self.store, analyser).analyze_source, AnalyzeRequest(app=APP))
        source = await self.store.facts.source(APP)
        assert source
        found = await self.store.facts.analysis(APP, source.part)
        assert found
        return found


@pytest.fixture
def world(store: SqlStore, code: Repository, tmp_path: Path) -> World:
    return World(store, code, tmp_path)


def codes(found: Analysis) -> set[str]:
    return {warning.code for warning in found.warnings}


async def test_what_it_says_counts_and_what_it_can_t_say_is_found_out_here(world: World, address: str) -> None:
    found = await world.analyse(address)
    assert FELL_BACK not in codes(found)
    assert [(each.name, each.language, each.resources.cpu_millis) for each in found.components] == [
        ("api", "cobol", 1500),
        ("web", "cobol", 1500),
    ]
    assert [(edge.from_, edge.to, edge.type) for edge in found.edges] == [("web", "api", "grpc")]
    web = found.components[1]
    assert web.build is not None
    assert (web.build.dockerfile, [port.port for port in web.ports]) == ("web/Dockerfile", [8080])
    assert list((world.folder / "workspaces" / "analyses").iterdir()) == []


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("slow", "no answer within 0.5 s"),
        ("silly", "components.0.kind"),
        ("strange", "the built-in analysis knows no such component"),
        ("empty", "it names no component"),
        ("noise", "not a CodeAnalysisResponse"),
        ("huge", "RESOURCE_EXHAUSTED"),
    ],
)
async def test_one_that_misbehaves_is_replaced_by_the_built_in_one(
    world: World, address: str, how: str, why: str
) -> None:
    found = await world.analyse(address, how, timeout_s=0.5 if how == "slow" else 60)
    assert [each.language for each in found.components] != ["cobol", "cobol"]
    assert [each.name for each in found.components] == ["api", "web"]
    [warning] = [each for each in found.warnings if each.code == FELL_BACK]
    assert why in warning.message
    assert address in warning.message


async def test_one_that_is_gone_is_asked_again_with_the_next_analysis(world: World, address: str) -> None:
    assert "UNAVAILABLE" in (await world.analyse(NOBODY)).warnings[0].message
    assert FELL_BACK not in codes(await world.analyse(address))
    assert [each.language for each in (await world.analyse(NOBODY)).components] == ["cobol", "cobol"], "it is known"
