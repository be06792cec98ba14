"""A Docker engine of its own, which may die: what ran there is ended by the next one, and healed by the node."""

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random

import docker
import requests

from chaos.kills import Blow, node
from chaos.worlds import BACK_S, DockerWorld, reaches
from tests.contract.docker_engine import IMAGE, engine_url, swept
from tests.e2e.forked import ForkedNode
from tests.e2e.harness import NodeProcess, end_with_the_parent, until

LOCAL = "local-docker"
ADDRESS = "10.198.0.1/24"
POOL = "10.199.0.0/16"
"""Of the networks there: another engine of this machine has others."""
_CONTAINERD = """version = 2
root = "{folder}/containerd"
state = "{folder}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "{folder}/containerd.sock"
"""


class Engine:
    """It leaves the firewall and the networks of this machine to the other engine. As where it is a service, its
    containerd is another one, so that what runs survives it: it is the next one that ends it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._containerd: subprocess.Popen[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._bridge = f"ice{folder.name[-8:]}"
        self.url = f"unix://{folder}/docker.sock"

    def start(self) -> None:
        if self._containerd is None:
            # Without a bridge of its own it would take the default one away, which is the other engine's.
            for words in (("add", self._bridge, "type", "bridge"), ("set", self._bridge, "up")):
                subprocess.run(["ip", "link", *words], check=True)
            subprocess.run(["ip", "address", "add", ADDRESS, "dev", self._bridge], check=True)
            config = self._folder / "containerd.toml"
            config.write_text(_CONTAINERD.format(folder=self._folder))
            self._containerd = self._launched("containerd", "--config", str(config))
        # It would take any process that has this number by now for itself, and refuse.
        (self._folder / "pid").unlink(missing_ok=True)
        self._process = self._launched(
            *("dockerd", "--data-root", f"{self._folder}/data", "--exec-root", f"{self._folder}/exec"),
            *(
                "--host",
                self.url,
                "--pidfile",
                f"{self._folder}/pid",
                "--containerd",
                f"{self._folder}/containerd.sock",
            ),
            *(f"--bridge={self._bridge}", "--iptables=false", "--ip-masq=false"),
        )
        until(self._answers, f"dockerd answers, see {self._folder}/log", BACK_S)

    def kill(self) -> None:
        assert self._process
        self._process.kill()
        self._process.wait(10)

    def end(self) -> None:
        """With what they have mounted, also those that were killed."""
        for process in (self._process, self._containerd):
            if process:
                process.terminate()
                process.wait(60)
        subprocess.run(["ip", "link", "delete", self._bridge], check=False)
        mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        for mount in sorted((each for each in mounts if each.startswith(f"{self._folder}/")), reverse=True):
            subprocess.run(["umount", "--lazy", mount], check=False)

    def _launched(self, *argv: str) -> subprocess.Popen[bytes]:
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=end_with_the_parent
            )

    def _answers(self) -> bool:
        assert self._process
        assert self._process.poll() is None, (self._folder / "log").read_text()[-3000:]
        try:
            client = docker.APIClient(base_url=self.url, version="auto")
            client.close()
        except (docker.errors.DockerException, requests.RequestException):
            return False
        return True


@contextmanager
def on_own_engine(folder: Path) -> Iterator[DockerWorld]:
    with tempfile.TemporaryDirectory(prefix="ice-") as short:
        own = Engine(Path(short))
        try:
            own.start()
            _carry_image(engine_url(), own.url)
            made = ForkedNode(folder / "node", own.url, extra={"IARNET_DOCKER__NETWORK_POOL": POOL})
            with swept(own.url, made.name) as engine:
                try:
                    made.up()
                    yield DockerWorld(made, engine, _blows(made, own), name="dockerd", pause_s=(1.0, 8.0))
                finally:
                    made.end()
        finally:
            own.end()


def _blows(made: NodeProcess, own: Engine) -> tuple[Blow, ...]:
    return (
        Blow("dockerd", 3, partial(_dockerd, made, own)),
        Blow("node", 1, partial(node, made)),
        Blow("dockerd and node", 1, partial(_both, made, own)),
    )


def _dockerd(made: NodeProcess, own: Engine, random: Random) -> float:
    """Seconds until the node sees the next one."""
    began = time.monotonic()
    own.kill()
    own.start()
    until(lambda: reaches(made, LOCAL), f"the engine is reached again:\n{made.tail()}", BACK_S)
    return time.monotonic() - began


def _both(made: NodeProcess, own: Engine, random: Random) -> float:
    made.kill()
    own.kill()
    began = time.monotonic()
    own.start()
    made.up()
    return time.monotonic() - began


def _carry_image(source: str, target: str) -> None:
    here, there = (docker.APIClient(base_url=url, version="auto") for url in (source, target))
    there.load_image(b"".join(here.get_image(IMAGE)))  # type: ignore[no-untyped-call]
    here.close()
    there.close()
