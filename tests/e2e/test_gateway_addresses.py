"""Several components of an app with the same port, each at an address of its own."""

from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import docker
import pytest

from tests.contract.docker_engine import prune_networks, swept
from tests.e2e.busybox import application, component, described, worker
from tests.e2e.engine import at, left
from tests.e2e.harness import NodeProcess, until

pytestmark = [pytest.mark.e2e, pytest.mark.docker]

ASK = (
    "sh -c 'while true; do for at in {places}; do"
    " echo ${{at%:*}} says $(nc -w 30 ${{at%:*}} ${{at#*:}} < /dev/null); done; sleep 0.02; done'"
)
"""Asks its neighbours in turn without end, and prints who said what."""


@pytest.fixture(scope="module")
def engine(docker_url: str) -> Iterator[docker.APIClient]:
    with swept(docker_url, "nobody") as client:
        yield client


def asker(*places: str) -> tuple[str, str]:
    return worker("ask", ASK.format(places=" ".join(places)), needs="[red, blue]")


def says(name: str, word: str, *ports: int, late: float = 0) -> tuple[str, str]:
    """A server that says a word to whoever connects, and nothing but that."""
    *others, last = [f"nc -ll -p {port} -e echo {word}" for port in ports]
    command = " ".join([f"sleep {late};", *(f"{each} &" for each in others), f"exec {last}"])
    listed = ", ".join(f"{{port: {port}, protocol: tcp}}" for port in ports)
    return component(name, f"sh -c '{command}'", kind="database", ports=f"[{listed}]")


def heard(engine: docker.APIClient, name: str) -> Counter[str]:
    return Counter(engine.logs(at(engine, name)).decode().splitlines())


def reached(engine: docker.APIClient, name: str, address: str) -> str:
    """What an instance hears at a neighbour's address and port."""
    host, _, port = address.rpartition(":")
    run = engine.exec_create(at(engine, name), ["sh", "-c", f"nc -w 5 {host} {port} < /dev/null"])
    said: bytes = engine.exec_start(run["Id"])
    return said.decode().strip()


def hears(engine: docker.APIClient, name: str, address: str, word: str) -> bool:
    return reached(engine, name, address) == word


def test_two_with_one_port_are_told_apart_and_replaced_without_a_gap(
    running: NodeProcess, repositories: Path, engine: docker.APIClient
) -> None:
    ask = asker("red:5432", "blue:5432")
    source = application(repositories / "clash", says("red", "one", 5432), says("blue", "two", 5432), ask)
    running.ok("deploy", source.url, "--name", "clash")
    asking = "iarnet-clash-ask-r1-0"
    until(lambda: heard(engine, asking)["blue says two"] > 10, "both answer")

    newer = says("blue", "three", 5432, late=2)
    source.write("iarnet.yaml", described(says("red", "one", 5432), newer, ask)).commit()
    running.ok("deploy", "clash")
    until(lambda: heard(engine, asking)["blue says three"] > 10, "the new one answers")
    assert set(heard(engine, asking)) == {"red says one", "blue says two", "blue says three"}
    assert "iarnet-clash-red-r1-0" in running.instances("clash"), "only what changed is replaced"

    routes = running.api("GET", "/api/v1/communication/routes?app=clash").json()["routes"]
    listens = {route["component"]: route["listens"] for route in routes}
    assert len(set(listens.values())) == 2
    stranger = application(repositories / "stranger", worker("ask"))
    running.ok("deploy", stranger.url, "--name", "stranger")
    for name, word in (("red", "one"), ("blue", "three")):
        assert reached(engine, asking, listens[name]) == word
        assert reached(engine, "iarnet-stranger-ask-r1-0", listens[name]) == "", "it is for its own app alone"

    prune_networks(engine, "clash")
    (network,) = engine.networks(filters={"label": "iarnet.app=clash"})
    assert network["Name"].count(".") == 1, "what nobody uses is cleaned up"
    for name, word in (("red", "one"), ("blue", "three")):
        until(partial(hears, engine, asking, listens[name], word), f"{name} answers again")

    running.ok("delete", "clash", "--yes")
    assert left(running.docker_url, "clash") == []


def test_who_needs_what_has_another_address_finds_it(
    running: NodeProcess, repositories: Path, engine: docker.APIClient
) -> None:
    """`blue` wants a port besides that `red` has at the address where both are."""
    red, ask = says("red", "one", 5432), asker("red:5432", "blue:6379")
    source = application(repositories / "moves", red, says("blue", "two", 6379), ask)
    running.ok("deploy", source.url, "--name", "moves")
    source.write("iarnet.yaml", described(red, says("blue", "three", 6379, 5432), ask)).commit()
    assert "what it needs has another address" in running.ok("plan", "moves").out
    running.ok("deploy", "moves")
    asking = "iarnet-moves-ask-r2-0"
    until(lambda: heard(engine, asking)["blue says three"] > 10, "the new one finds it")
    assert set(heard(engine, asking)) <= {"red says one", "blue says two", "blue says three"}
    running.ok("delete", "moves", "--yes")
    assert left(running.docker_url, "moves") == []
