"""Every example: deployed, used, changed by a commit, redeployed, stopped, deleted with nothing left."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.e2e.engine import left
from tests.e2e.harness import NodeProcess, until
from tests.e2e.repository import Repository, example

pytestmark = [pytest.mark.e2e, pytest.mark.docker]


@dataclass(frozen=True)
class Example:
    """`use` does what the application is for and fails when it does not work. `change` alters the components
    `changed`, and no others, so that `shows` is at `/` afterwards. `through`: the way in, `cli` or `api`."""

    name: str
    through: str
    use: Callable[[httpx.Client], None]
    change: Callable[[Repository], object]
    changed: set[str]
    shows: str


def use_shop(web: httpx.Client) -> None:
    assert web.post("/orders", data={"product": "1"}).is_success
    until(lambda: all(web.get("/status").json().values()), "every part of the shop works")


def use_notes(web: httpx.Client) -> None:
    assert web.post("/notes", data={"text": "remember the milk"}).is_success
    assert "remember the milk" in web.get("/").text


def use_queue(web: httpx.Client) -> None:
    number = web.post("/texts", content="one two two").json()["id"]
    until(lambda: web.get(f"/texts/{number}").json()["status"] == "counted", "the worker has counted")
    assert web.get("/").json()["prepared"], "the release has run before"


def use_pages(web: httpx.Client) -> None:
    assert "oystercatchers" in web.get("/").text
    assert web.get("/about.html").is_success
    assert web.get("/nothing.html").status_code == 404


def use_shelf(web: httpx.Client) -> None:
    assert "Invisible Cities" in web.get("/").text


def use_hello(web: httpx.Client) -> None:
    assert "Hello, you!" in web.get("/you").text


EXAMPLES = [
    Example(
        "shop",
        "cli",
        use_shop,
        lambda r: r.replace("web/page.js", "<title>Shop</title>", "<title>Changed</title>"),
        {"web"},
        "<title>Changed</title>",
    ),
    Example(
        "compose-notes",
        "api",
        use_notes,
        lambda r: r.replace("compose.yaml", "NOTES_TITLE:-Notes", "NOTES_TITLE:-Changed"),
        {"web"},
        "<title>Changed</title>",
    ),
    Example(
        "procfile-queue",
        "cli",
        use_queue,
        lambda r: r.replace("web.py", "POST /texts", "changed"),
        {"web", "worker", "release"},
        "changed",
    ),
    Example(
        "static-site",
        "api",
        use_pages,
        lambda r: r.replace("index.html", "<h1>Field notes</h1>", "<h1>Changed</h1>"),
        {"web"},
        "<h1>Changed</h1>",
    ),
    Example(
        "monorepo",
        "api",
        use_shelf,
        lambda r: r.replace("packages/shared/index.js", ", by ", ", written by "),
        {"web", "api"},
        "Invisible Cities, written by",
    ),
    Example(
        "go-hello",
        "cli",
        use_hello,
        lambda r: r.replace("main.go", 'return "Hello"', 'return "Changed"'),
        {"api"},
        "Changed!",
    ),
    Example(
        "java-hello",
        "api",
        use_hello,
        lambda r: r.replace(
            "src/main/java/org/example/hello/Main.java", '"GREETING", "Hello"', '"GREETING", "Changed"'
        ),
        {"api"},
        "Changed!",
    ),
]


class Way:
    """The same steps through the command line or the API."""

    def __init__(self, node: NodeProcess, through: str) -> None:
        self.node = node
        self.cli = through == "cli"

    def create(self, source: Repository, app: str) -> None:
        if self.cli:
            self.node.ok("import", source.url, "--name", app)
        else:
            self.finished("POST", "/api/v1/apps", {"name": app, "url": source.url, "ref": "main"})

    def change(self, app: str, what: str) -> None:
        if self.cli:
            self.node.ok(what, app)
        else:
            self.finished("POST", f"/api/v1/apps/{app}/{what}", {})

    def delete(self, app: str) -> None:
        if self.cli:
            self.node.ok("delete", app, "--yes", "--delete-data")
        else:
            self.finished("DELETE", f"/api/v1/apps/{app}?keep_data=false", None)

    def finished(self, method: str, path: str, body: object) -> None:
        progress = self.node.finished(self.node.api(method, path, body))
        assert progress["status"] == "succeeded", progress


@pytest.mark.timeout(900)
@pytest.mark.parametrize("what", EXAMPLES, ids=lambda e: e.name)
def test_a_whole_life(what: Example, running: NodeProcess, repositories: Path, docker_url: str) -> None:
    # A name that no other node on this engine uses: `make up` may have a shop of its own.
    app, way = f"{what.name}-{running.name}", Way(running, what.through)
    source = example(what.name, repositories)
    way.create(source, app)
    way.change(app, "deploy")
    with httpx.Client(base_url=running.address(app), timeout=20, follow_redirects=True) as web:
        what.use(web)
        before = running.containers(app)

        what.change(source)
        source.commit()
        way.change(app, "deploy")
        assert what.shows in until(lambda: web.get("/").text, "it answers")
        after = running.containers(app)
        assert {c for c in after if after[c] != before.get(c)} == what.changed

    way.change(app, "stop")
    assert running.instances(app) == {}
    way.change(app, "start")
    assert what.shows in httpx.get(running.address(app), timeout=20).text
    way.delete(app)
    assert left(docker_url, app) == []
    assert running.api("GET", f"/api/v1/apps/{app}").status_code == 404
