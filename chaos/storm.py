"""Random kills while deployments run, and what is left of what was promised."""

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from random import Random
from threading import Event

from chaos.people import Person, Promise
from chaos.worlds import DESCRIBED, World
from tests.e2e.repository import repository

_SETTLED_S = 30.0
_ROWS = {
    "leases": ("instance", True),
    "instances": ("name", True),
    "endpoints": ("instance", True),
    "services": ("name", False),
    "ports": ("port", False),
}
"""Tables of the store: the column with the name, and whether that is an instance's."""


@dataclass(frozen=True)
class Kill:
    what: str
    back_after_s: float


@dataclass
class Outcome:
    """What is known so far. `lost`, `failed`: changes that were accepted and never ended, or ended otherwise than
    well. `duplicates`, `orphans`, `wrong`: what was still not as it should be 30 s after the last kill."""

    world: str
    seed: int
    asked: int
    kills: list[Kill] = field(default_factory=list)
    promises: list[Promise] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    settled_s: float | None = None

    @property
    def finished(self) -> bool:
        """As many kills as were asked for."""
        return len(self.kills) == self.asked

    @property
    def lost(self) -> list[Promise]:
        return [promise for promise in self.promises if not promise.status]

    @property
    def failed(self) -> list[Promise]:
        return [promise for promise in self.promises if promise.status not in ("", "succeeded")]

    @property
    def bad(self) -> list[object]:
        """Everything that should be empty."""
        return [*self.lost, *self.failed, *self.duplicates, *self.orphans, *self.wrong, *self.problems]

    def times(self, what: str) -> list[float]:
        return [kill.back_after_s for kill in self.kills if kill.what == what]


def storm(world: World, outcome: Outcome, *, apps: int, ended: Event | None = None) -> None:
    """While `apps` people change an application each, so many kills as the outcome asks for, or until `ended`; then
    all is let come to its end. What happens is told to the outcome at once."""
    random = Random(outcome.seed)
    source = repository(world.node.directory / "source", **{"iarnet.yaml": DESCRIBED})
    told = (outcome.promises, outcome.problems)
    people = [Person(world.node, source.url, f"app{n}", Random(random.random()), *told) for n in range(apps)]
    for person in people:
        person.start()
    try:
        _strike(world, outcome, random, ended or Event())
    except AssertionError as error:
        outcome.problems.append(str(error))
    finally:
        for person in people:
            person.told.set()
        for person in people:
            person.join()
    if world.node.answers:
        _settle(world, people, outcome)
    else:
        outcome.problems.append("the node does not answer in the end")


def _strike(world: World, outcome: Outcome, random: Random, ended: Event) -> None:
    for _ in range(outcome.asked):
        if ended.wait(random.uniform(*world.pause_s)):
            return
        [blow] = random.choices(world.blows, [each.weight for each in world.blows])
        outcome.kills.append(Kill(blow.name, blow.strike(random)))


def _settle(world: World, people: Sequence[Person], outcome: Outcome) -> None:
    began = time.monotonic()
    while True:
        _look(world, people, outcome)
        outcome.settled_s = took_s = time.monotonic() - began
        if not (outcome.duplicates or outcome.orphans or outcome.wrong) or took_s > _SETTLED_S:
            return
        time.sleep(0.2)


def _look(world: World, people: Sequence[Person], outcome: Outcome) -> None:
    found = world.found()
    known = {person.app: person.wanted for person in people}
    running = {app for app, wanted in known.items() if wanted.runs}
    existing = {app for app, wanted in known.items() if wanted.exists}
    outcome.duplicates = _twice((each.app, each.component, each.replica) for each in found)
    outcome.orphans = [
        *(each.name for each in found if each.app not in running),
        *(name for app, name in world.others() if app not in running),
        *_rows(world, running, existing, {each.name for each in found}),
    ]
    outcome.wrong = []
    for app, wanted in known.items():
        there = Counter((each.component, each.word) for each in found if each.app == app and each.running)
        if there != wanted.instances():
            outcome.wrong.append(f"{app} has {dict(there)} instead of {dict(wanted.instances())}")
        shown = world.node.api("GET", f"/api/v1/apps/{app}")
        status = shown.json()["status"] if shown.is_success else "gone"
        if status != wanted.status:
            outcome.wrong.append(f"{app} is {status} instead of {wanted.status}")


def _twice(names: Iterable[object]) -> list[str]:
    return [str(name) for name, count in Counter(names).items() if count > 1]


def _rows(world: World, running: set[str], existing: set[str], instances: set[str]) -> list[str]:
    """What the store knows of apps that do not run, and of instances that are not there."""
    found = []
    for table, (column, of_instance) in _ROWS.items():
        for app, name in world.rows(f"SELECT app, {column} FROM {table}"):
            kept = existing if table == "ports" else running
            if app not in kept or (of_instance and name not in instances):
                found.append(f"{table}: {name} of {app}")
    return found
