"""What `docker-compose.temporal.yml` describes, as processes of this machine: images can't be pulled everywhere.

Its own commands and settings are used, and only hosts, ports and files are replaced.
"""

import os
import random
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import yaml

from tests.conftest import missing
from tests.contract import postgres
from tests.contract.docker_engine import swept
from tests.e2e.harness import PROGRAMS, NodeProcess, end_with_the_parent, until

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.temporal.yml"
_PORTS = (
    "FRONTEND_HTTP",
    *(f"{service}_GRPC" for service in ("FRONTEND", "HISTORY", "MATCHING", "WORKER")),
    *(f"{service}_MEMBERSHIP" for service in ("FRONTEND", "HISTORY", "MATCHING", "WORKER")),
)


@dataclass
class Api(NodeProcess):
    command: ClassVar[str] = "api"

    @property
    def token(self) -> str:
        return Path(self.extra["IARNET_TOKEN_FILE"]).read_text().strip()


@dataclass
class Worker(NodeProcess):
    """It has no API: it is up when it says so."""

    command: ClassVar[str] = "worker"

    _known: int = 0

    def start(self) -> None:
        self._known = self._said()
        super().start()

    @property
    def answers(self) -> bool:
        return self._said() > self._known

    def _said(self) -> int:
        return self.log.read_text(errors="replace").count("This worker is the node") if self.log.exists() else 0


@dataclass(frozen=True)
class Topology:
    """`shared`: the settings that all of ours have in common."""

    directory: Path
    docker_url: str
    temporal_address: str
    shared: Mapping[str, str]

    def of_one(self, name: str) -> dict[str, str]:
        """Settings of a node that shares the servers, and neither namespace nor database."""
        server = self.shared["IARNET_DATABASE_URL"].rpartition("/")[0]
        postgres.execute(server, f"CREATE DATABASE {name}")
        return {
            "IARNET_TEMPORAL__ADDRESS": self.temporal_address,
            "IARNET_TEMPORAL__NAMESPACE": name,
            "IARNET_DATABASE_URL": f"{server}/{name}",
        }

    def api(self, folder: str, beside: Worker | None = None) -> Api:
        """`beside`: the worker of the host whose engine it can ask."""
        made = Api(self.directory / folder, beside.docker_url if beside else "none", extra=dict(self.shared))
        return replace(made, name=beside.name) if beside else made

    def worker(self, folder: str, docker_url: str = "none", **extra: str) -> Worker:
        return Worker(self.directory / folder, docker_url, extra={**self.shared, **extra})

    def cli(self, *words: str) -> str:
        command = [str(PROGRAMS / "temporal"), *words, "--address", self.temporal_address, "--namespace", "iarnet"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


def composed() -> dict[str, Any]:
    """The file, with the defaults of its variables."""
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", FILE.read_text())
    found: dict[str, Any] = yaml.safe_load(text.replace("$$", "$"))
    return found


@contextmanager
def topology(directory: Path, docker_url: str) -> Iterator[Topology]:
    """PostgreSQL and Temporal, and nothing of ours yet. Skips where they can't be had, which CI must not do."""
    services, programs = composed()["services"], _programs()
    with postgres.cluster() as url, ExitStack() as stack:
        host, port = "127.0.0.1", url.rsplit(":", 1)[1]
        schema = services["temporal-schema"]
        _run_to_end(
            [*schema["entrypoint"], *schema["command"]],
            programs,
            {**schema["environment"], "SQL_HOST": host, "SQL_PORT": port},
        )
        ports = {f"{name}_PORT": port for name, port in zip(_PORTS, _free_ports(len(_PORTS)), strict=True)}
        settings = {
            **services["temporal"]["environment"],
            **ports,
            "POSTGRES_SEEDS": host,
            "DB_PORT": port,
            "BIND_ON_IP": host,
            "DYNAMIC_CONFIG_FILE_PATH": _mounted(services["temporal"]),
        }
        address = f"{host}:{ports['FRONTEND_GRPC_PORT']}"
        stack.enter_context(_running(directory / "temporal.log", programs, settings, lambda: _is_well(address)))
        postgres.execute(url, "CREATE DATABASE iarnet")
        yield Topology(
            directory,
            docker_url,
            address,
            {
                "IARNET_TEMPORAL__ADDRESS": address,
                "IARNET_DATABASE_URL": f"{url}/iarnet",
                "IARNET_SECRETS__KEY_FILE": str(directory / "secrets.key"),
                "IARNET_TOKEN_FILE": str(directory / "token"),
            },
        )


@contextmanager
def up(docker_url: str, *processes: NodeProcess) -> Iterator[None]:
    """The first alone, as it makes what they share; then the others at once. Afterwards nothing is left."""
    first, *others = processes
    with swept(docker_url, first.name):
        try:
            first.up()
            for process in others:
                process.start()
            for process in others:
                until(process._is_up, f"{process.name} is up: {process.tail()}")
            yield
        finally:
            for process in processes:
                process.end()


def _free_ports(count: int) -> Iterator[int]:
    """Below 32,768: Temporal keeps them in a column of two bytes. Above those of the tests' nodes."""
    candidates = random.sample(range(30_600, 32_768), 50 * count)
    for port in candidates:
        with socket.socket() as probe:
            if not probe.connect_ex(("127.0.0.1", port)):
                continue
        count -= 1
        yield port
        if not count:
            return
    raise AssertionError("no ports are free")


def _programs() -> Path:
    command = [sys.executable, str(ROOT / "setup" / "machine.py"), "temporal"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800, check=False)
    if done.returncode:
        missing(f"Temporal's server: {done.stderr.strip()}")
    return Path(done.stdout.splitlines()[-1])


def _mounted(service: Mapping[str, Any]) -> str:
    """The file of this repository that the service finds as its dynamic configuration."""
    wanted = service["environment"]["DYNAMIC_CONFIG_FILE_PATH"]
    source, target, _ = service["volumes"][0].split(":")
    assert wanted.startswith(f"{target}/")
    return str(ROOT / source / wanted.removeprefix(f"{target}/"))


def _environment(programs: Path, settings: Mapping[str, Any]) -> dict[str, str]:
    inherited = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": os.environ.get("HOME", "/")}
    return inherited | {key: str(value) for key, value in settings.items()}


def _run_to_end(argv: list[str], programs: Path, settings: Mapping[str, Any]) -> None:
    done = subprocess.run(
        argv, env=_environment(programs, settings), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


@contextmanager
def _running(log: Path, programs: Path, settings: Mapping[str, Any], well: Callable[[], bool]) -> Iterator[None]:
    with log.open("ab") as output:
        process = subprocess.Popen(
            [programs / "temporal-server", "start"],
            env=_environment(programs, settings),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=end_with_the_parent,
        )

    def answers() -> bool:
        assert process.poll() is None, log.read_text()[-3000:]
        return well()

    try:
        until(answers, f"Temporal answers, see {log}")
        yield
    finally:
        process.terminate()
        process.wait(30)


def _is_well(address: str) -> bool:
    command = [str(PROGRAMS / "temporal"), "operator", "cluster", "health", "--address", address]
    return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0
