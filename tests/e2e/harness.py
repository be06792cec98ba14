"""A whole node as a process of its own, and what a person does with it."""

import ctypes
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

import httpx
import psutil

from tests.contract.docker_engine import swept
from tests.e2e.command_line import Done, iarnet

PROGRAMS = Path(sys.executable).parent
# A connection each, as a person's requests are. The trusted authorities, which only matter with TLS, would be read
# for each anew: 25 ms of a core, 20 times a second where a test waits.
HTTP = httpx.Client(verify=False, timeout=60, limits=httpx.Limits(max_keepalive_connections=0))
T = TypeVar("T")


def until(look: Callable[[], T], what: str, within_s: float = 60.0) -> T:
    """The first true answer; fails with the last one when there is none in time.

    It looks ever less often: to ask a node twenty times a second takes a quarter of a core from what is waited for.
    """
    deadline = time.monotonic() + within_s
    pause = 0.03
    answer = look()
    while not answer:
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s:g} s: {what}; last: {answer!r}")
        time.sleep(pause)
        pause = min(0.3, pause * 1.2)
        answer = look()
    return answer


class Process(Protocol):
    """As much of `subprocess.Popen` as is needed of a node."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float) -> int: ...

    def send_signal(self, number: int) -> None: ...


@dataclass
class NodeProcess:
    """`iarnet up` on free ports with a data directory, a node name, ports and networks of its own."""

    directory: Path
    docker_url: str
    name: str = field(default_factory=lambda: f"t{secrets.token_hex(4)}")
    extra: dict[str, str] = field(default_factory=dict)
    process: Process | None = None
    command: ClassVar[str] = "up"

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def log(self) -> Path:
        return self.directory / "node.log"

    @property
    def environment(self) -> dict[str, str]:
        # With bytecode kept, as on a person's machine: without, each start compiles every module again, for seconds.
        ours = ("IARNET_", "PYTHONDONTWRITEBYTECODE")
        clean = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
        # Below those that the kernel hands out to whoever connects to something.
        first = 10_000 + int(self.name[1:4], 16) * 5
        return clean | {
            "IARNET_DATA_DIR": str(self.data),
            "IARNET_NODE_NAME": self.name,
            "IARNET_LISTEN_ADDR": "127.0.0.1:0",
            "IARNET_PEER_LISTEN_ADDR": "none",
            "IARNET_TEMPORAL__PORT": "0",
            "IARNET_TEMPORAL__UI_PORT": "0",
            "IARNET_DOCKER__HOST": self.docker_url,
            "IARNET_DOCKER__PUBLISH_PORTS": f"{first}-{first + 20}",
            "IARNET_GIT__ALLOW_FILE": "true",
            "NO_COLOR": "1",
            **self.extra,
        }

    def up(self, within_s: float = 60.0) -> float:
        """Start it; seconds until its API answers."""
        began = time.monotonic()
        self.start()
        until(self._is_up, f"{self.name} is up: {self.tail()}", within_s)
        return time.monotonic() - began

    def start(self) -> None:
        """Begin to; it may not get far."""
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.data / "address").unlink(missing_ok=True)
        self.process = self.launched()

    def launched(self) -> Process:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [PROGRAMS / "iarnet", self.command],
                env=self.environment,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=end_with_the_parent,
            )

    @property
    def is_dead(self) -> bool:
        assert self.process
        return self.process.poll() is not None

    @property
    def answers(self) -> bool:
        try:
            return HTTP.get(f"{self.url}/api/health", timeout=2).status_code == 200
        except (httpx.HTTPError, FileNotFoundError, ValueError):
            return False

    def _is_up(self) -> bool:
        assert not self.is_dead, f"the node ended:\n{self.tail()}"
        return self.answers

    def tail(self, lines: int = 30) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""

    def kill(self) -> None:
        """As a power cut would: no word to anybody. Its Temporal survives, being a process of its own."""
        assert self.process
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def down(self) -> int:
        """SIGTERM; the exit status."""
        assert self.process
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def end(self) -> None:
        """Whatever state a test has left it in."""
        if self.process and self.process.poll() is None:
            self.down()
        for record in (self.data / "temporal" / "temporal.json", self.data / "gateway" / "process.json"):
            if record.exists():
                pid = json.loads(record.read_text())["pid"]
                if psutil.pid_exists(pid):
                    psutil.Process(pid).terminate()

    @property
    def url(self) -> str:
        address = (self.data / "address").read_text().strip()
        if not address:
            raise ValueError("no address yet")
        return address

    @cached_property
    def owner(self) -> str:
        """The mark of what it makes on an engine."""
        return str(self.api("GET", "/api/v1/node").json()["owner"])

    @property
    def token(self) -> str:
        return (self.data / "token").read_text().strip()

    def cli(self, *words: str, timeout_s: float = 300.0) -> Done:
        return iarnet(words, self.environment, self.directory, timeout_s)

    def ok(self, *words: str, timeout_s: float = 300.0) -> Done:
        done = self.cli(*words, timeout_s=timeout_s)
        assert done.code == 0, f"iarnet {' '.join(words)}: {done.code}\n{done.out}\n{done.err}\n{self.tail(10)}"
        return done

    @property
    def temporal_address(self) -> str:
        if given := self.extra.get("IARNET_TEMPORAL__ADDRESS"):
            return given
        server = json.loads((self.data / "temporal" / "temporal.json").read_text())
        return f"127.0.0.1:{server['port']}"

    @property
    def _namespace(self) -> str:
        return self.extra.get("IARNET_TEMPORAL__NAMESPACE", "iarnet")

    def temporal(self, *words: str, timeout_s: float = 60.0) -> Done:
        """Temporal's own command line against this node's server."""
        done = subprocess.run(
            [PROGRAMS / "temporal", *words, "--address", self.temporal_address, "--namespace", self._namespace],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def api(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return HTTP.request(method, f"{self.url}{path}", json=body, headers=self._headers)

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def finished(self, answer: httpx.Response, within_s: float = 300.0) -> Any:
        """The progress of a run that was accepted, once it has ended."""
        assert answer.status_code == 202, answer.text
        follow = answer.json()["follow"]
        deadline = time.monotonic() + within_s
        with HTTP.stream("GET", f"{self.url}{follow}/events", headers=self._headers) as told:
            assert told.status_code == 200, told.read()
            event = ""
            for line in told.iter_lines():  # a comment at least, every 15 s
                key, _, value = line.partition(": ")
                if key == "data" and event == "done":
                    return json.loads(value)["progress"]
                event = value if key == "event" else event
                assert time.monotonic() < deadline, f"not within {within_s:g} s: {follow} ends"
        raise AssertionError(f"{follow} was not told to its end: {event}")

    def instances(self, app: str) -> dict[str, str]:
        """Name of each instance -> the engine's ID of its container."""
        found = self.api("GET", f"/api/v1/apps/{app}/instances").json()["instances"]
        return {i["name"]: i["id"] for i in found}

    def containers(self, app: str) -> dict[str, set[str]]:
        """Component -> the engine's IDs of its containers."""
        found = self.api("GET", f"/api/v1/apps/{app}/instances").json()["instances"]
        return {i["component"]: {j["id"] for j in found if j["component"] == i["component"]} for i in found}

    def address(self, app: str, component: str = "") -> str:
        """Where it is published; without `component`, of an app that publishes one thing."""
        found = self.api("GET", f"/api/v1/apps/{app}").json()["addresses"]
        assert component in found or len(found) == 1, found
        return str(found[component] if component else next(iter(found.values())))


def end_with_the_parent() -> None:
    """In the node's process: a test run that is killed takes its nodes along, and they end their servers."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


@contextmanager
def node(
    directory: Path, docker_url: str, *, kind: type[NodeProcess] = NodeProcess, **extra: str
) -> Iterator[NodeProcess]:
    """Up, and afterwards nothing of it is left: no process, no container, no network, no volume."""
    made = kind(directory, docker_url, extra=extra)
    with swept(docker_url, made.name):
        try:
            made.up()
            yield made
        finally:
            made.end()
