"""A `project_path` leads to code beneath the workspace directory, and nowhere else."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from iarnet.analysers.projects import Projects
from iarnet.errors import Forbidden, IarnetError, InvalidInput, NotFound, SourceTooLarge
from iarnet.models.source import GitSource
from iarnet.sources.git import GitSources
from iarnet.store.open import open_store
from tests.e2e.repository import repository

LIMITS = {"max_bytes": 10_000, "max_files": 100}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("place")


@pytest.fixture(scope="module")
async def projects(place: Path) -> AsyncIterator[Projects]:
    """`shop` is imported; `code` and `large` are folders."""
    workspace = place / "workspaces"
    sources = GitSources(workspace, allow_file=True)
    store = await open_store(f"sqlite:///{place}/iarnet.db", lambda: datetime.now(UTC))
    git = GitSource(url=repository(place / "shop", Dockerfile="FROM a", inner__Dockerfile="FROM b").url)
    await store.apps.create("shop", git)
    await store.facts.save_source(await sources.fetch("shop", git, await sources.resolve(git)))
    for name, text in (("code/in/main.py", "1"), ("large/file", "x" * 10_001), ("../secret/main.py", "2")):
        (workspace / name).parent.mkdir(parents=True, exist_ok=True)
        (workspace / name).write_text(text)
    (workspace / "out").symlink_to(place / "secret")
    (workspace / "code" / "out").symlink_to(place / "secret")
    yield Projects(workspace, store.facts, sources, **LIMITS)
    await store.aclose()


async def test_folders_and_what_was_imported(projects: Projects, place: Path) -> None:
    for path in ("code/in", "./code//in/", str(place / "workspaces" / "code" / "in")):
        assert (await projects.tree(path)).paths() == ["main.py"]
    assert (await projects.tree("code")).paths() == ["in/main.py"], "links are left out"
    assert (await projects.tree("shop.git")).paths() == ["Dockerfile", "inner/Dockerfile"]
    assert (await projects.tree(f"{place}/workspaces/shop.git/inner")).paths() == ["Dockerfile"]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("", InvalidInput),
        (".", InvalidInput),
        ("code\0", InvalidInput),
        ("a" * 5000, InvalidInput),
        ("..", InvalidInput),
        ("code/../../secret", InvalidInput),
        ("WORKSPACE", InvalidInput),
        ("WORKSPACE/../secret", InvalidInput),
        ("/etc", Forbidden),
        ("WORKSPACE-2/code", Forbidden),
        (".keys", Forbidden),
        (".home/x", Forbidden),
        ("out", Forbidden),
        ("code/out", Forbidden),
        ("out/..", InvalidInput),
        ("none", NotFound),
        ("code/in/main.py", NotFound),
        ("code/in/main.py/x", NotFound),
        ("a" * 300, NotFound),
        ("none.git", NotFound),
        ("shop.git/none", NotFound),
        ("shop.git/Dockerfile", NotFound),
        (".git", Forbidden),
        ("large", SourceTooLarge),
    ],
)
async def test_what_leads_elsewhere_is_refused(
    projects: Projects, place: Path, path: str, kind: type[IarnetError]
) -> None:
    with pytest.raises(kind) as refused:
        await projects.tree(path.replace("WORKSPACE", str(place / "workspaces")))
    assert type(refused.value) is kind
