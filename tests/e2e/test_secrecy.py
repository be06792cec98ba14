"""No secret value is anywhere but in its sealed row and in the container that needs it."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import docker
import pytest

from tests.contract.docker_engine import IMAGE
from tests.e2e.busybox import described, worker
from tests.e2e.harness import Done, NodeProcess, until
from tests.e2e.repository import Repository, repository

pytestmark = [pytest.mark.e2e, pytest.mark.docker]

GIVEN = "given-by-a-person-9c41f7"
TELLING = "echo generated $MADE given $GIVEN wrapped $WRAPPED"
SECRETS = "{MADE: web/made, WRAPPED: web/made, GIVEN: }"


def telling(then: str) -> str:
    return f'sh -c "{TELLING}; {then}"'


def secretive(directory: Path) -> Repository:
    """Built here, and it prints all that it knows."""
    dockerfile = f'FROM {IMAGE}\nRUN echo built\nCMD ["sh", "-c", "{TELLING}; sleep 1000000"]\n'
    name, text = worker("web", telling("sleep 1000000"), secrets=SECRETS)
    text = text.replace(f"    image: {IMAGE}\n", "    dockerfile: Dockerfile\n")
    return repository(directory, **{"iarnet.yaml": described((name, text)), "Dockerfile": dockerfile})


@pytest.fixture
def engine(docker_url: str) -> Iterator[docker.APIClient]:
    client = docker.APIClient(base_url=docker_url, version="auto")
    yield client
    client.close()


def environment(engine: docker.APIClient, container: str) -> dict[str, str]:
    entries: list[str] = engine.inspect_container(container)["Config"]["Env"]
    return dict(entry.split("=", 1) for entry in entries)


def forms(value: str) -> set[bytes]:
    """As it is, as a URL writes it, and within Base64 at each of the three places where it can begin."""
    encoded = {base64.b64encode(b" " * shift + value.encode())[4 if shift else 0 : -4] for shift in range(3)}
    return {value.encode(), quote(value, safe="").encode(), *encoded}


def holding(where: dict[str, bytes], values: list[str]) -> list[str]:
    return [place for place, text in where.items() if any(form in text for v in values for form in forms(v))]


def files(node: NodeProcess) -> dict[str, bytes]:
    """All that the node keeps: its database, logs and sources, and Temporal's database with every history."""
    return {str(p): p.read_bytes() for p in node.directory.rglob("*") if p.is_file()}


def spoken(node: NodeProcess, app: str) -> dict[str, bytes]:
    """All that a person can be told, by the command line and over HTTP."""
    words = [
        ("status", app), ("apps", "ls"), ("plan", app), ("why", app, "web"), ("events", app), ("logs", app),
        ("config",), ("secrets", "ls"), ("replay", f"change.{app}"),
    ]  # fmt: skip
    told = {f"iarnet {' '.join(w)}": node.cli(*w) for w in (*words, *(("--json", *w) for w in words))}
    newest = node.api("GET", f"/api/v1/apps/{app}/deployments").json()["deployments"][0]["id"]
    paths = [
        *("/api/v1/apps", "/api/v1/secrets", "/api/v1/providers", "/application/apps", "/resource/providers"),
        *(f"/application/apps/{app}{part}" for part in ("", "/components", "/logs")),
        *(f"/api/v1/deployments/{newest}{part}" for part in ("", "/plan")),
        *(
            f"/api/v1/apps/{app}/{part}"
            for part in ("components", "deployments", "instances", "revisions", "settings")
        ),
        *(f"/api/v1/apps/{app}/{part}" for part in ("analysis", "logs", "components/web/build-log")),
    ]
    answers = {path: node.api("GET", path) for path in paths}
    assert {path: a.status_code for path, a in answers.items() if a.status_code != 200} == {}
    return {name: f"{done.out}{done.err}".encode() for name, done in told.items()} | {
        path: answer.content for path, answer in answers.items()
    }


def shown(node: NodeProcess, app: str) -> dict[str, bytes]:
    """What Temporal's own command line tells of every run of the app."""
    runs: list[Any] = node.temporal("workflow", "list", "--query", f"IarnetApp='{app}'", "--output", "json").json
    ids = [(run["execution"]["workflowId"], run["execution"]["runId"]) for run in runs]
    assert ids
    told = {f"{i}/{r}": node.temporal("workflow", "show", "-w", i, "-r", r, "--output", "json") for i, r in ids}
    told |= {f"{i}/{r} described": node.temporal("workflow", "describe", "-w", i, "-r", r) for i, r in ids}
    return {name: text(done) for name, done in told.items()}


def text(done: Done) -> bytes:
    assert done.code == 0, done.err
    return (done.out + done.err).encode()


def test_no_secret_is_anywhere_but_in_its_container(
    running: NodeProcess, repositories: Path, engine: docker.APIClient
) -> None:
    app = f"secretive-{running.name}"
    source = secretive(repositories / "secretive")
    running.api("PUT", "/api/v1/secrets/someone/given", {"value": GIVEN}).raise_for_status()
    running.ok("import", source.url, "--name", app)
    running.ok("deploy", app, "--secret", "web.env.GIVEN=someone/given")
    [container] = running.instances(app).values()
    values = [environment(engine, container)["MADE"], GIVEN]
    assert environment(engine, container)["GIVEN"] == GIVEN
    assert values[0].encode() in engine.logs(container), "it does print what must not be repeated"

    source.replace("iarnet.yaml", telling("sleep 1000000"), telling("exit 3")).commit()
    failed = running.cli("deploy", app)
    assert failed.code != 0
    assert "generated *** given *** wrapped ***" in failed.out + failed.err, "its last lines, without the values"

    assert holding(spoken(running, app), values) == []
    assert holding(shown(running, app), values) == []
    assert holding(files(running), values) == []
    inspected = engine.inspect_container(next(iter(running.instances(app).values())))
    image = engine.inspect_image(inspected["Image"])  # type: ignore[no-untyped-call]
    history = engine.history(inspected["Image"])  # type: ignore[no-untyped-call]
    engine_says = {"labels": inspected["Config"]["Labels"], "arguments": inspected["Args"], "image": image}
    clear = {place: str(said).encode() for place, said in (engine_says | {"history": history}).items()}
    assert holding(clear, values) == []


def test_a_node_that_was_killed_still_knows_what_it_must_not_say(
    running: NodeProcess, repositories: Path, engine: docker.APIClient
) -> None:
    """It has not resolved the secrets of what already runs when that ends and its last lines are told."""
    app = f"forgetful-{running.name}"
    source = secretive(repositories / "forgetful")
    running.api("PUT", "/api/v1/secrets/someone/given", {"value": GIVEN}).raise_for_status()
    running.ok("import", source.url, "--name", app)
    running.ok("deploy", app, "--secret", "web.env.GIVEN=someone/given")
    [container] = running.instances(app).values()
    values = [environment(engine, container)["MADE"], GIVEN]
    running.kill()
    running.up()
    logs = running.ok("logs", app).out
    assert "generated *** given *** wrapped ***" in logs
    assert holding(spoken(running, app), values) == []
    assert holding(files(running), values) == []


def test_what_a_check_prints_is_not_repeated(
    running: NodeProcess, repositories: Path, engine: docker.APIClient
) -> None:
    app = f"sick-{running.name}"
    check = ["sh", "-c", "echo I know $MADE; test ! -e /tmp/sick"]
    health = f"{{type: command, command: {json.dumps(check)}, interval: 1s, retries: 1, start_period: 2s}}"
    component = worker("web", health=health, secrets="{MADE: web/made}")
    source = repository(repositories / "sick", **{"iarnet.yaml": described(component)})
    running.ok("deploy", source.url, "--name", app)
    [container] = running.instances(app).values()
    made = environment(engine, container)["MADE"]
    engine.exec_start(engine.exec_create(container, ["touch", "/tmp/sick"])["Id"])

    def told() -> list[Any]:
        events = running.ok("--json", "events", app).lines
        return [e for e in events if e["kind"] == "instance.restart-failed"]

    assert "I know ***" in until(told, "it is noticed, and does not get well")[0]["message"]
    assert holding(files(running), [made]) == []
