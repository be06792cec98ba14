"""A process that dies between an effect and its record, once at each point where there is one.

One app lives one life, from its creation to its deletion. In each act of it all points of that act are armed: the
node dies at one after the other, and is started again each time. What was asked for must end well all the same.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import httpx
import psutil
import pytest

from iarnet.faults import POINTS
from tests.contract.docker_engine import IMAGE, swept
from tests.e2e.busybox import described, worker
from tests.e2e.engine import at, left
from tests.e2e.forked import ForkedNode
from tests.e2e.harness import NodeProcess, until
from tests.e2e.leftovers import column, unaccounted
from tests.e2e.repository import Repository, repository
from tests.integration.gateway_world import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.docker, pytest.mark.timeout(600)]

APP, HOST = "mortal", "mortal.localhost"
DATA = f"iarnet-{APP}-db-data"
"""The volume."""
STEP_S = 60.0
"""Within which the node gets from one point to the next, or to the end."""
DOCKERFILE = f"FROM {IMAGE}\nRUN mkdir /pages && echo one > /pages/index.html\nCMD exec httpd -f -p 8080 -h /pages\n"
WEB = """  web:
    build: web
    dockerfile: Dockerfile
    kind: web
    ports: [8080]
    publish: true
    needs: [db]
    health: {type: tcp, interval: 1s, retries: 2}
    resources: {memory: 16Mi}
"""


@dataclass
class Life:
    """`causes`: of the changes that were asked for."""

    node: NodeProcess
    source: Repository
    engine: docker.APIClient
    faults: Path
    causes: list[str] = field(default_factory=list)

    def ask(self, method: str, path: str, body: Any = None) -> None:
        """As a client does: without an answer it asks again, and may hear that it has been done meanwhile."""
        unanswered = False
        while True:
            try:
                answer = self.node.api(method, path, body)
            except httpx.TransportError:
                unanswered = True
                self.revive()
                continue
            if answer.status_code == 409 and not unanswered:
                until(lambda: "running" not in dict(self.deployments).values(), "the change that heals is over")
                continue
            assert answer.is_success or answer.status_code == 409, answer.text
            return

    def change(self, verb: str, cause: str = "") -> None:
        method, path = ("DELETE", "?keep_data=false") if verb == "delete" else ("POST", f"/{verb}")
        self.ask(method, f"/api/v1/apps/{APP}{path}")
        self.causes.append(cause or verb)

    def revive(self) -> None:
        """It may die again before it is up."""
        until(lambda: self.node.is_dead, "the node dies", 10)
        while self.node.is_dead:
            self.node.start()
            until(lambda: self.node.is_dead or self.node.answers, f"it is up: {self.node.tail()}")

    @property
    def armed(self) -> set[str]:
        return {file.name for file in self.faults.iterdir()}

    @property
    def deployments(self) -> list[tuple[str, str]]:
        """Cause and how it ended, the oldest first. What is lost may be told again after a restart, before the change
        that heals it has begun: another one then finds nothing to do, and is not counted."""
        found = self.node.api("GET", f"/api/v1/apps/{APP}/deployments").json()["deployments"]
        ended = [(d["cause"], (d["failure"] or {}).get("message") or d["status"]) for d in reversed(found)]
        return [each for n, each in enumerate(ended) if each[0] != "heal" or ended[n - 1][0] != "heal"]

    @property
    def status(self) -> str:
        return str(self.node.api("GET", f"/api/v1/apps/{APP}").json()["status"])

    def instance(self, component: str) -> str:
        return next(name for name in self.node.instances(APP) if f"-{component}-" in name)


@dataclass(frozen=True)
class Act:
    """`ends` tells whether what was asked for is over; `check` fails when things are not as they should be then."""

    begin: Callable[[Life], None]
    ends: Callable[[Life], bool]
    check: Callable[[Life], None]
    points: tuple[str, ...]


def lived(life: Life, act: Act) -> Exception | None:
    """What was wrong."""
    for point in act.points:
        (life.faults / point).touch()
    try:
        act.begin(life)
        go_through(life, act)
        act.check(life)
    except Exception as error:
        return error
    finally:
        for file in life.faults.iterdir():
            file.unlink()
        if life.node.is_dead:
            life.revive()
    return None


def go_through(life: Life, act: Act) -> None:
    """To its end, over all deaths on the way."""
    while True:
        ahead = sorted(life.armed) or "the end"
        until(lambda: life.node.is_dead or is_over(life, act), f"it gets to {ahead}", STEP_S)
        if not life.node.is_dead:
            return
        life.revive()


def is_over(life: Life, act: Act) -> bool:
    try:
        return not life.armed and life.node.answers and act.ends(life)
    except httpx.TransportError:  # it is about to die
        return False


def created(life: Life) -> None:
    """Nobody asks again: what was written down is enough."""
    with pytest.raises(httpx.TransportError):
        life.node.api("POST", "/api/v1/apps", {"url": life.source.url, "name": APP})


def is_imported(life: Life) -> bool:
    return bool(column(life.node, "sources", "fetched_at", APP))


def is_new(life: Life) -> None:
    assert life.status == "idle"
    assert objects(life) == []


def changed(life: Life) -> None:
    life.source.write("web/Dockerfile", DOCKERFILE.replace("one", "two")).commit()
    life.change("deploy")


def hurt(life: Life) -> None:
    life.engine.kill(at(life.engine, life.instance("web")))


def robbed(life: Life) -> None:
    life.engine.remove_container(at(life.engine, life.instance("web")), force=True)
    life.causes.append("heal")


def named(life: Life) -> None:
    life.ask("POST", "/api/v1/communication/domains", {"host": HOST, "app": APP, "component": "web"})


def joined(life: Life) -> None:
    body = {"id": "second", "name": "second", "type": "docker", "url": life.node.docker_url}
    life.ask("POST", "/api/v1/providers", body | {"config": {"gateway": "false"}})


def has_ended(life: Life) -> bool:
    known = life.deployments
    return len(known) == len(life.causes) and known[-1][1] != "running"


def is_mended(life: Life) -> bool:
    found = at(life.engine, life.instance("web"))
    return bool(found) and life.engine.inspect_container(found)["State"]["Running"] and life.status == "running"


def is_named(life: Life) -> bool:
    """And no key is left of a certificate that is not used."""
    domains = life.node.api("GET", "/api/v1/communication/domains").json()["domains"]
    is_ready = [(d["host"], d["state"]) for d in domains] == [(HOST, "ready")]
    return is_ready and len([name for name in secrets(life) if name.startswith("tls/")]) == 1


def is_joined(life: Life) -> bool:
    known = life.node.api("GET", "/api/v1/providers").json()["providers"]
    return [p["status"] for p in known if p["info"]["id"] == "second"] == ["active"]


def runs_one_of_each(life: Life) -> None:
    """Each program belongs to the node by its data directory, which it was started with."""
    commands = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    ours = Counter(Path(command.split()[0]).name for command in commands if str(life.node.data) in command)
    assert ours["temporal"] == 1
    assert ours["envoy"] <= 1


def no_run_failed(life: Life) -> None:
    """A deployment is recorded a moment before its run is closed."""
    query = f"WorkflowId = 'change.{APP}' AND ExecutionStatus != 'Completed'"
    until(lambda: json.loads(life.node.temporal("workflow", "list", "--query", query, "-o", "json").out) == [], query)


def serves(word: str) -> Callable[[Life], None]:
    def check(life: Life) -> None:
        runs_one_of_each(life)
        no_run_failed(life)
        assert life.deployments == [(cause, "succeeded") for cause in life.causes], "each change once, and well"
        found = life.engine.containers(all=True, filters={"label": f"iarnet.app={APP}"})
        assert Counter((c["Labels"]["iarnet.component"], c["State"]) for c in found) == {
            ("db", "running"): 1,
            ("web", "running"): 1,
        }
        assert unaccounted(life.node, APP) == [DATA]
        assert httpx.get(life.node.address(APP)).text == f"{word}\n"

    return check


def is_idle(life: Life) -> None:
    assert life.deployments == [(cause, "succeeded") for cause in life.causes]
    no_run_failed(life)
    assert life.status == "stopped"
    assert objects(life) == [DATA]


def is_gone(life: Life) -> None:
    assert life.node.api("GET", f"/api/v1/apps/{APP}").status_code == 404
    assert left(life.node.docker_url, APP) == []
    assert unaccounted(life.node, APP) == []
    until(lambda: not [name for name in secrets(life) if APP in name], "its certificate's key is gone, too")
    no_run_failed(life)


def leaves_again(life: Life) -> None:
    life.ask("DELETE", "/api/v1/providers/second")
    assert not is_joined(life)


def objects(life: Life) -> list[str]:
    """Without images, which are not of a run but of a commit."""
    return [name for name in left(life.node.docker_url, APP) if ":" not in name]


def secrets(life: Life) -> list[str]:
    found: list[str] = life.node.api("GET", "/api/v1/secrets").json()["names"]
    return found


ACTS = (
    Act(
        begin=lambda life: life.node.start(),
        ends=lambda life: life.node.answers,
        check=runs_one_of_each,
        points=("temporal.started",),
    ),
    Act(created, is_imported, is_new, ("app.created", "source.fetched", "import_source.done")),
    Act(
        begin=lambda life: life.change("deploy"),
        ends=has_ended,
        check=serves("one"),
        points=(
            *("run.started", "deployment.begun", "analyze_source.done", "envoy.started"),
            *("revision.saved", "secret.made", "port.claimed", "room.reserved", "prepare_change.done"),
            *("ensure_watch.done", "image.built", "build_image.done", "network.made", "serve_app.done"),
            *("instance.intended", "volume.made", "container.created", "container.started"),
            *("instance.recorded", "instance.ready", "deploy_instance.done"),
            *("deployment.finished", "revision.running", "finish_change.done"),
        ),
    ),
    Act(
        begin=changed,
        ends=has_ended,
        check=serves("two"),
        points=(*("instance.drained", "container.stopped", "container.removed", "remove_instance.done"),),
    ),
    Act(hurt, is_mended, serves("two"), ("instance.suspended", "instance.restarted", "mend_instance.done")),
    Act(robbed, has_ended, serves("two"), ("start_change.done",)),
    Act(named, is_named, serves("two"), ("key.stored", "certificate.recorded")),
    Act(
        begin=lambda life: life.change("stop"),
        ends=has_ended,
        check=is_idle,
        points=("services.closed", "network.removed", "release_provider.done"),
    ),
    Act(
        begin=lambda life: life.change("delete"),
        ends=lambda life: life.node.api("GET", f"/api/v1/apps/{APP}").status_code == 404,
        check=is_gone,
        points=(
            *("volume.removed", "sources.forgotten", "images.forgotten", "forget_source.done"),
            "app.deleted",
        ),
    ),
    Act(joined, is_joined, leaves_again, ("provider.registered",)),
)


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory, docker_url: str) -> Iterator[Life]:
    place = tmp_path_factory.mktemp("life")
    faults = place / "faults"
    faults.mkdir()
    db = worker("db", volumes="{data: /data}", secrets="{PASSWORD: db/password}")
    source = repository(place / "source", web__Dockerfile=DOCKERFILE)
    source.write("iarnet.yaml", described(db) + WEB).commit()
    ports = {"IARNET_GATEWAY__HTTP_PORT": str(free_port()), "IARNET_GATEWAY__HTTPS_PORT": str(free_port())}
    made = ForkedNode(place / "node", docker_url, extra={"IARNET_FAULTS": str(faults), **ports})
    with swept(docker_url, made.name) as engine:
        try:
            yield Life(made, source, engine, faults)
        finally:
            made.end()


@pytest.fixture(scope="module")
def outcomes() -> dict[int, Exception | None]:
    return {}


@pytest.mark.parametrize("point", [point for act in ACTS for point in act.points])
def test_what_was_begun_ends_well(life: Life, outcomes: dict[int, Exception | None], point: str) -> None:
    for number, act in enumerate(ACTS):
        if number not in outcomes:
            outcomes[number] = lived(life, act)
        if point in act.points:
            if wrong := outcomes[number]:
                raise AssertionError(f"killed at {', '.join(act.points)}") from wrong
            return


def test_every_point_is_visited() -> None:
    assert Counter([*POINTS]) == Counter(point for act in ACTS for point in act.points)
