"""A release that fails at its first component, a middle one or its last, while users ask: they never notice."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest

from tests.contract.docker_engine import swept
from tests.e2e.busybox import application, component, described, server, worker
from tests.e2e.engine import at
from tests.e2e.forked import ForkedNode
from tests.e2e.harness import NodeProcess, node, until
from tests.e2e.load import load

pytestmark = [pytest.mark.e2e, pytest.mark.docker]

GREET = "sh -c 'mkdir -p /tmp/p && echo {word} > /tmp/p/index.html && exec httpd -f -p 8080 -h /tmp/p'"
BREAK = "sh -c 'sleep {late}; exit 3'"
PER_S = 100


@pytest.fixture(scope="module")
def engine(docker_url: str) -> Iterator[docker.APIClient]:
    with swept(docker_url, "nobody") as client:
        yield client


@pytest.fixture(scope="module")
def points(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("points")


@pytest.fixture(scope="module")
def releasing(tmp_path_factory: pytest.TempPathFactory, docker_url: str, points: Path) -> Iterator[NodeProcess]:
    with node(tmp_path_factory.mktemp("node"), docker_url, kind=ForkedNode, IARNET_FAULTS=str(points)) as made:
        yield made


def shop(word: str, broken: str = "") -> tuple[tuple[str, str], ...]:
    """A chain of four, and one beside it; all of it changes with the word."""
    commands = {
        "data": f"sh -c 'echo {word}; exec sleep 1000000'",
        "migrate": f"sh -c 'echo {word}'",
        "mail": f"sh -c 'echo {word}; exec sleep 1000000'",
    }
    commands |= {name: GREET.format(word=word) for name in ("api", "web")}
    if broken:
        commands[broken] = BREAK.format(late=3 if broken == "web" else 0)
    return (
        worker("data", commands["data"], volumes="[data:/data]"),
        component("migrate", commands["migrate"], kind="job", health="none", needs="[data]"),
        server("api", commands["api"], replicas="2", needs="[migrate]"),
        server("web", commands["web"], replicas="2", needs="[api]"),
        worker("mail", commands["mail"], needs="[data]"),
    )


def newest(running: NodeProcess, app: str) -> Any:
    return running.api("GET", f"/api/v1/apps/{app}").json()["deployment"]


def test_users_never_notice_a_release_that_fails(
    releasing: NodeProcess, points: Path, tmp_path: Path, engine: docker.APIClient
) -> None:
    running = releasing
    source = application(tmp_path / "whole", *shop("one"))
    running.ok("deploy", source.url, "--name", "whole")
    before = running.instances("whole")
    addresses = {name: running.address("whole", name) for name in ("api", "web")}
    with ExitStack() as stack:
        ports = [int(address.rpartition(":")[2]) for address in addresses.values()]
        everybody = [stack.enter_context(load(port, per_s=PER_S)) for port in ports]
        for number, broken in enumerate(("data", "api", "web"), 2):
            source.write("iarnet.yaml", described(*shop(f"no{number}", broken))).commit()
            if broken == "data":
                planned = running.ok("plan", "whole").out
                assert "a roll-back would leave what the job migrate may have done" in planned
            if broken == "web":
                running.ok("deploy", "whole", "--detach")
                die_while_undoing(running, points, engine, f"iarnet-whole-web-r{number}-0")
                running.up()
                until(lambda: newest(running, "whole")["status"] != "running", "the change has ended")
            else:
                assert "not undone: what data may have written" in running.cli("deploy", "whole").err
            check_undone(running, before, broken)
        asked = [users.count for users in everybody]
        until(lambda: all(u.count > n + PER_S for u, n in zip(everybody, asked, strict=True)), "users go on")
    for users in everybody:
        print(f"\n{users.count} requests: {users.answers}, failed: {len(users.failures)}")
        assert users.failures == []
    assert {name: httpx.get(address).text for name, address in addresses.items()} == dict.fromkeys(addresses, "one\n")
    told = running.ok("status", "whole").out
    assert "not undone: what the job migrate may have done" in told


def die_while_undoing(running: NodeProcess, points: Path, engine: docker.APIClient, breaking: str) -> None:
    """Nothing else goes between the start of the last component and its end."""
    until(lambda: at(engine, breaking), f"{breaking} is there")
    (points / "container.removed").touch()
    assert running.process
    assert running.process.wait(60) == -9


def check_undone(running: NodeProcess, before: dict[str, str], broken: str) -> None:
    last = newest(running, "whole")
    assert (last["status"], last["failure"]["component"]) == ("rolled-back", broken)
    after = running.instances("whole")
    made_again = {name for name, id in after.items() if before.get(name) != id}
    assert after.keys() == before.keys()
    assert made_again <= {"iarnet-whole-data-r1-0"}, "which has one writer, and stops first"
    left = {"what data may have written to its volume data"}
    left |= {"what the job migrate may have done"} if broken != "data" else set()
    assert set(last["progress"]["not_undone"]) == set(last["failure"]["not_undone"]) == left
