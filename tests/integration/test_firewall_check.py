"""The doctor sees whether a firewall keeps containers from this machine: with real rules, for a range of its own."""

import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Network
from pathlib import Path

import docker
import psutil
import pytest

from iarnet.cli.check import Check, Machine
from iarnet.cli.checks_engine import engine_checks
from iarnet.cli.checks_firewall import LABEL
from iarnet.config import load_settings
from iarnet.providers.docker.interfaces import interfaces
from tests.conftest import missing
from tests.contract.docker_engine import engine_url

pytestmark = pytest.mark.docker

_COMMENT = "iarnet-test-of-"


@pytest.fixture
def pool() -> str:
    """A range that nobody has."""
    if os.geteuid() != 0 or not shutil.which("iptables"):
        missing("the right to set rules (root, with iptables)")
    _remove_forgotten()
    while True:
        found = IPv4Network((f"10.211.{secrets.randbelow(256)}.0", 24))
        if not any(interface.network.overlaps(found) for _, interface in interfaces()):
            return str(found)


@pytest.mark.parametrize("verdict", ["DROP", "REJECT"])
def test_a_rule_against_containers_is_seen_and_how_to_add_one_for_them(
    pool: str, verdict: str, tmp_path: Path
) -> None:
    with _rule(pool, verdict):
        check = _look(pool, tmp_path)
        assert check.state == "fail"
        assert f"stops what comes from {pool}" in check.says
        (offered,) = re.findall(r"`sudo (iptables -I INPUT .*?)`", check.fix)
        _iptables(*offered.split()[1:])
        try:
            assert _look(pool, tmp_path).state == "ok"
        finally:
            _iptables(*offered.replace("-I", "-D", 1).split()[1:])
    check = _look(pool, tmp_path)
    assert (check.state, check.says) == ("ok", "containers reach this machine")


def _look(pool: str, directory: Path) -> Check:
    url = engine_url()
    flags = {"data_dir": str(directory), "docker.host": url, "docker.network_pool": pool}
    settings = load_settings(None, {}, flags, cwd=directory).settings
    found = {check.name: check for check in engine_checks(Machine(settings, os.environ, running=False))}
    client = docker.APIClient(base_url=url, version="auto")
    mine = {"label": LABEL}
    left = [n for n in client.networks(filters=mine) if n["Name"].endswith(f".{os.getpid()}")]
    assert not left
    client.close()
    return found["firewall"]


@contextmanager
def _rule(pool: str, verdict: str) -> Iterator[None]:
    """For what comes from the range to the range, and nothing else."""
    rule = ["INPUT", "-s", pool, "-d", pool, "-j", verdict, "-m", "comment", "--comment", f"{_COMMENT}{os.getpid()}"]
    _iptables("-I", *rule)
    try:
        yield
    finally:
        _iptables("-D", *rule)


def _remove_forgotten() -> None:
    """The rules of a run that was killed."""
    for line in _iptables("-S", "INPUT").splitlines():
        found = re.search(rf"{_COMMENT}(\d+)", line)
        if found and not psutil.pid_exists(int(found[1])):
            _iptables("-D", *line.replace('"', "").split()[1:])


def _iptables(*words: str) -> str:
    return subprocess.run(["iptables", "-w", *words], check=True, capture_output=True, text=True).stdout
