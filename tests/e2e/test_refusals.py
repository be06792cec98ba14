"""What can't be done as it is asked: one clear error, nothing begun, and the way is free once the cause is gone."""

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.e2e.busybox import application, described, server, worker
from tests.e2e.forked import ForkedNode
from tests.e2e.harness import NodeProcess, node, until
from tests.e2e.leftovers import unaccounted
from tests.e2e.refusing import failure, refused
from tests.e2e.repository import repository

pytestmark = [pytest.mark.e2e, pytest.mark.docker]

ALLOWED = {"IARNET_GIT__ALLOW_HTTP": "true", "IARNET_GIT__ALLOW_PRIVATE_HOSTS": "true"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, docker_url: str) -> Iterator[NodeProcess]:
    with node(tmp_path_factory.mktemp("node"), docker_url, kind=ForkedNode, **ALLOWED) as made:
        yield made


@contextmanager
def answering(status: int) -> Iterator[str]:
    """The address of a Git server that always says the same."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("WWW-Authenticate", "Basic realm=x")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as served:
        thread = threading.Thread(target=served.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{served.server_address[1]}/group/code.git"
        served.shutdown()
        thread.join()


def test_a_repository_that_is_not_there(running: NodeProcess, repositories: Path) -> None:
    path = repositories / "later"
    error = refused(running, "deploy", path.as_uri(), "--name", "nowhere", code="RepositoryNotFound", status=4)
    assert "no repository at this address" in error["message"]
    assert "Check the address" in error["hint"]
    assert unaccounted(running, "nowhere") == []

    application(path, worker("one"))
    running.ok("deploy", path.as_uri(), "--name", "nowhere")
    assert list(running.instances("nowhere")) == ["iarnet-nowhere-one-r1-0"]


@pytest.mark.parametrize(("status", "code", "exit_code"), [(401, "AccessDenied", 3), (404, "RepositoryNotFound", 4)])
def test_a_server_that_does_not_give_it(running: NodeProcess, status: int, code: str, exit_code: int) -> None:
    app = f"denied{status}"
    with answering(status) as url:
        error = refused(running, "deploy", url, "--name", app, code=code, status=exit_code)
        assert "credential" in error["hint"]
        started = running.api("POST", "/api/v1/apps", {"url": url, "name": f"{app}-api"})
        progress = running.finished(started)
        assert progress["failure"]["code"] == code
    assert unaccounted(running, app) == []


def test_a_branch_that_is_not_there(running: NodeProcess, repositories: Path) -> None:
    source = application(repositories / "branch", worker("one"))
    words = ("deploy", source.url, "--name", "branch", "--ref", "release")
    error = refused(running, *words, code="RefNotFound", status=4)
    assert "no branch or tag 'release'" in error["message"]
    assert "main" in error["hint"]
    assert unaccounted(running, "branch") == []

    source._git("branch", "release")
    running.ok(*words)
    assert list(running.instances("branch")) == ["iarnet-branch-one-r1-0"]


def test_a_repository_with_nothing_to_run(running: NodeProcess, repositories: Path) -> None:
    source = repository(repositories / "empty", **{"notes.txt": "nothing here"})
    error = refused(running, "deploy", source.url, "--name", "empty", code="NothingToRun", status=3)
    assert "no component" in error["message"]
    assert "iarnet.yaml" in error["hint"]
    assert failure(running, "empty")["code"] == "NothingToRun"
    assert unaccounted(running, "empty") == []

    source.write("iarnet.yaml", described(worker("one"))).commit()
    running.ok("deploy", "empty")
    assert list(running.instances("empty")) == ["iarnet-empty-one-r1-0"]


def test_components_that_need_each_other_in_a_circle(running: NodeProcess, repositories: Path) -> None:
    circle = (worker("a", needs="[b]"), worker("b", needs="[c]"), worker("c", needs="[a]"))
    source = application(repositories / "circle", *circle)
    error = refused(running, "deploy", source.url, "--name", "circle", code="DependencyCycle", status=3)
    for name in "abc":
        assert name in error["message"].split("circle: ")[1]
    assert "Remove one" in error["hint"]
    assert failure(running, "circle")["code"] == "DependencyCycle"
    assert unaccounted(running, "circle") == []

    source.write("iarnet.yaml", described(worker("a", needs="[b]"), worker("b"))).commit()
    running.ok("deploy", "circle")


def test_a_mistake_in_the_description(running: NodeProcess, repositories: Path) -> None:
    source = repository(repositories / "typo", **{"iarnet.yaml": "components:\n  web:\n    imgae: busybox\n"})
    error = refused(running, "deploy", source.url, "--name", "typo", code="InvalidComponent", status=3)
    assert error["where"] == "iarnet.yaml:3"
    assert "'image'" in error["hint"]
    assert unaccounted(running, "typo") == []


def test_more_than_any_provider_has(running: NodeProcess, repositories: Path) -> None:
    source = application(repositories / "huge", server())
    words = ("deploy", source.url, "--name", "huge", "--set", "web.memory=900Gi")
    error = refused(running, *words, code="NoRoom", status=1)
    assert "local-docker: memory 900.0 GiB wanted" in error["message"]
    assert error["component"] == "web"
    assert "memory=" in error["hint"]
    assert unaccounted(running, "huge") == []
    assert failure(running, "huge", settings={"web.memory": "900Gi"})["code"] == "NoRoom"

    running.ok("fork", "huge", "--set", "web.memory=16Mi")
    assert list(running.instances("huge")) == ["iarnet-huge-web-r2-0"]


def test_a_second_change_during_the_first(running: NodeProcess, repositories: Path) -> None:
    slow = worker("slow", kind="web", ports="[9]", health="{type: tcp}")
    source = application(repositories / "twice", slow)
    first = json.loads(running.ok("--json", "deploy", source.url, "--name", "twice", "--detach").out)
    error = refused(running, "deploy", "twice", "--detach", code="ChangeInProgress", status=5)
    assert error["where"] == f"change.twice/{first['run_id']}"
    assert first["run_id"] in error["hint"]
    assert "cancel" in error["hint"]
    for verb in ("deploy", "stop", "retry"):
        answer = running.api("POST", f"/api/v1/apps/twice/{verb}")
        assert (answer.status_code, answer.json()["code"]) == (409, "ChangeInProgress")
    running.ok("cancel", "twice")
    until(lambda: running.api("GET", first["follow"]).json()["status"] == "cancelled", "it is undone")
    assert running.api("GET", "/api/v1/apps/twice").json()["status"] == "stopped"
    assert unaccounted(running, "twice") == []
    source.write("iarnet.yaml", described(worker("slow"))).commit()
    running.ok("deploy", "twice")


def test_no_provider_at_all(tmp_path: Path, repositories: Path, docker_url: str) -> None:
    source = application(repositories / "bare", worker("one"))
    with node(tmp_path / "node", docker_url, kind=ForkedNode, IARNET_DOCKER__HOST="none") as bare:
        error = refused(bare, "deploy", source.url, "--name", "bare", code="NoRoom", status=1)
        assert error["message"] == "There is no provider for one."
        assert "iarnet providers add" in error["hint"]
        assert failure(bare, "bare")["code"] == "NoRoom"
        assert unaccounted(bare, "bare") == []
        assert bare.down() == 0
        shutil.rmtree(bare.data / "temporal")  # its database may be lost while no change runs
        bare.extra["IARNET_DOCKER__HOST"] = docker_url
        bare.up()
        bare.ok("deploy", "bare")
        assert list(bare.instances("bare")) == ["iarnet-bare-one-r1-0"]
