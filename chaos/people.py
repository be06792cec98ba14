"""People who change applications without end, and remember what was promised to them."""

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any

import httpx

from tests.e2e.harness import NodeProcess

COMPONENTS = ("front", "back")
WITHIN_S = 180.0
"""A change that was accepted and has not ended by then counts as lost; so long is asked without an answer."""
_AGAIN_S = 0.1
# To ask ten times a second would take a quarter of a core from what is waited for.
_LOOK_S = 0.4
_RUNS = ("change", "change", "scale", "scale", "stop", "delete")
_STOPPED = ("start", "start", "delete")
_MOST = 3


@dataclass(frozen=True)
class Promise:
    """A change that was accepted, and how it ended; empty: it never did."""

    app: str
    verb: str
    run_id: str
    status: str
    why: str = ""


@dataclass
class Wanted:
    """`word` is in the environment of every instance."""

    replicas: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COMPONENTS, 1))
    word: str = ""
    runs: bool = False
    exists: bool = False

    def instances(self) -> Counter[tuple[str, str]]:
        """Component and word, as many times as there should be instances."""
        return Counter({(c, self.word): n for c, n in self.replicas.items()}) if self.runs else Counter()

    @property
    def status(self) -> str:
        """What the API says of it."""
        return "running" if self.runs else "stopped" if self.exists else "gone"


class Person(threading.Thread):
    """Does one thing after the other with an app, until told to stop: what was begun then is waited for.

    What it was promised it adds to `promises`, and what made it give up to `problems`.
    """

    def __init__(
        self, node: NodeProcess, url: str, app: str, random: Random, promises: list[Promise], problems: list[str]
    ) -> None:
        super().__init__(name=app)
        self.app = app
        self.wanted = Wanted()
        self.promises = promises
        self.problems = problems
        self.told = threading.Event()
        self._node = node
        self._url = url
        self._random = random

    def run(self) -> None:
        try:
            while not self.told.is_set():
                self._do(self._choice())
        except Exception as error:
            self.problems.append(f"{self.app}: {error!r}")

    def _choice(self) -> str:
        if not self.wanted.exists:
            return "create"
        return self._random.choice(_RUNS if self.wanted.runs else _STOPPED)

    def _do(self, verb: str) -> None:
        path, wanted = f"/api/v1/apps/{self.app}", self.wanted
        if verb == "create":
            self._ask("POST", "/api/v1/apps", {"url": self._url, "name": self.app})
            self._change("deploy", "POST", f"{path}/deploy")
            self.wanted = Wanted(exists=True, runs=True)
        elif verb == "change":
            wanted.word = f"{self._random.getrandbits(32):08x}"
            settings = {f"{component}.env.WORD": wanted.word for component in COMPONENTS}
            self._change("deploy", "POST", f"{path}/deploy", {"settings": settings, "fetch": False})
        elif verb == "scale":
            component, number = self._random.choice(COMPONENTS), self._random.randint(1, _MOST)
            wanted.replicas[component] = number
            self._change("scale", "POST", f"{path}/scale", {"replicas": {component: number}})
        elif verb == "delete":
            self._change("delete", "DELETE", f"{path}?keep_data=false")
            self.wanted = Wanted()
        else:
            self._change(verb, "POST", f"{path}/{verb}")
            wanted.runs = verb == "start"

    def _change(self, cause: str, method: str, path: str, body: Any = None) -> None:
        """Ask for it, and wait for its end."""
        run_id = self._ask(method, path, body, cause)
        ended = self._end(run_id)
        status, failure = ended.get("status", ""), ended.get("failure") or {}
        self.promises.append(Promise(self.app, cause, run_id, status, failure.get("message", "")))

    def _ask(self, method: str, path: str, body: Any = None, cause: str = "") -> str:
        """The run. Without an answer it is asked again, unless what then runs already is what was asked for."""
        unanswered = False
        deadline = time.monotonic() + WITHIN_S
        while time.monotonic() < deadline:
            answer = self._answer(method, path, body)
            if answer is None or answer.status_code >= 500:
                unanswered = True
                time.sleep(_AGAIN_S)
            elif answer.status_code == 409:
                other = answer.json()["where"].rpartition("/")[2]
                if self._end(other).get("cause") == cause and unanswered:
                    return str(other)
            elif answer.status_code == 404 and cause == "delete" and unanswered:
                return str(self._newest().get("run_id"))
            else:
                assert answer.is_success, f"{method} {path}: {answer.text}"
                return str(answer.json()["run_id"])
        raise AssertionError(f"{method} {path}: not taken within {WITHIN_S:g} s")

    def _end(self, run_id: str) -> dict[str, Any]:
        """The deployment, once it has ended; nothing when that takes too long."""
        deadline = time.monotonic() + WITHIN_S
        while time.monotonic() < deadline:
            found = next((d for d in self._deployments() if d["run_id"] == run_id), None)
            if found and found["status"] != "running":
                return found
            time.sleep(_LOOK_S)
        return {}

    def _newest(self) -> dict[str, Any]:
        return next(iter(self._deployments()), {})

    def _deployments(self) -> list[dict[str, Any]]:
        answer = self._answer("GET", f"/api/v1/apps/{self.app}/deployments?limit=5")
        return answer.json()["deployments"] if answer and answer.is_success else []

    def _answer(self, method: str, path: str, body: Any = None) -> httpx.Response | None:
        try:
            return self._node.api(method, path, body)
        except (httpx.TransportError, OSError, ValueError):  # it is down, or not yet up
            return None
