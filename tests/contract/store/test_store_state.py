"""The store against a model that is simple enough to be believed: apps, changes and their epochs, revisions,
instances and events, in whatever order. The ledger has one of its own."""

import asyncio
import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine

from iarnet.errors import AlreadyExists, Conflict, IarnetError, NotFound, SpecMismatch, StaleEpoch
from iarnet.models.app import App, Event, Revision, Settings
from iarnet.models.change import Begin, Deployment, Progress
from iarnet.models.instance import Instance, InstanceSpec
from iarnet.models.source import GitSource
from iarnet.store.base import Store
from iarnet.store.deployments import STATUS, SUPERSEDED
from iarnet.store.open import open_store
from tests.contract.store.values import Watch, instance, revision, spec
from tests.depth import DEEP, LONGEST_S, searching

APPS = st.sampled_from(["a", "b"])
GITS = st.builds(
    GitSource,
    url=st.sampled_from(["https://example.org/1.git", "https://example.org/2.git"]),
    ref=st.sampled_from(["", "main"]),
    credential=st.sampled_from([None, "credentials/x"]),
)
CAUSES = st.sampled_from(["deploy", "stop", "delete", "heal"])
NUMBERS = st.integers(1, 3)
# Two apps may make the same name: `a` with `b-c`, and `a-b` with `c`.
NAMES = st.tuples(st.just("x"), st.sampled_from(["box", "cloud"]))


class StoreMachine(RuleBasedStateMachine):
    """All names begin with `mine`: the database is shared by all examples."""

    runner: asyncio.Runner
    store: Store
    clock: Watch
    examples = itertools.count()

    def __init__(self) -> None:
        super().__init__()
        self.mine = f"e{next(self.examples)}-"
        self.apps: dict[str, App] = {}
        self.changes: dict[str, Deployment] = {}
        self.revisions: dict[tuple[str, int], Revision] = {}
        self.rows: dict[tuple[str, str], tuple[InstanceSpec, Instance | None]] = {}
        self.events: list[Event] = []

    def teardown(self) -> None:
        """The next examples read all apps, too."""
        for app in self._names():
            self._run(self.store.apps.delete(app))

    @rule(name=APPS, git=GITS, title=st.sampled_from(["", "Shop"]))
    def create(self, name: str, git: GitSource, title: str) -> None:
        with self._refused(self._taken(self.mine + name, git)):
            made = self._run(self.store.apps.create(self.mine + name, git, title))
            assert made == self._created(self.mine + name, git, title)

    @rule(name=APPS)
    def delete(self, name: str) -> None:
        app = self.mine + name
        self._run(self.store.apps.delete(app))
        self._gone(app)

    @rule(name=APPS, git=st.none() | GITS, cause=CAUSES, again=st.booleans(), data=st.data())
    def begin(self, name: str, git: GitSource | None, cause: Any, again: bool, data: st.DataObject) -> None:
        app = self.mine + name
        run = f"{self.mine}run-{len(self.changes)}"
        if again and self.changes:
            known = self.changes[data.draw(st.sampled_from(sorted(self.changes)))]
            app, run = known.app, known.run_id
        begin = Begin(app=app, cause=cause, workflow_id=f"change.{app}", run_id=run, git=git)
        known_run = next((each for each in self.changes.values() if each.run_id == run), None)
        expected = None if known_run else self._taken(app, git) if git else self._absent(app)
        with self._refused(expected):
            begun = self._run(self.store.facts.begin(begin))
            assert begun == (known_run or self._begun(begin))

    @rule(status=st.sampled_from(["succeeded", "failed", "cancelled"]), number=NUMBERS, data=st.data())
    def finish(self, status: Any, number: int, data: st.DataObject) -> None:
        change = self._some_change(data)
        if change is None:
            return
        progress = Progress(app=change.app, deployment_id=change.id, revision=number, status=status)
        with self._refused(None if change.status == status else self._superseded(change)):
            self._run(self.store.facts.finish(change.id, status, progress, None))
            if change.status != status:
                ended = {"status": status, "failure": None, "finished_at": self.clock.now}
                self._update(change, progress=progress, revision=number, **ended)
                if change.cause == "delete" and status == "succeeded":
                    self._gone(change.app)

    @rule(step=st.sampled_from(["one", "two"]), data=st.data())
    def progress(self, step: str, data: st.DataObject) -> None:
        change = self._some_change(data)
        if change is None:
            return
        told = Progress(app=change.app, deployment_id=change.id, step=step)
        with self._refused(self._superseded(change)):
            self._run(self.store.facts.save_progress(change.id, told))
            if change.status == "running":
                self._update(change, progress=told)

    @rule(name=APPS, status=st.sampled_from(["running", "degraded"]), epoch=st.none() | st.integers(0, 4))
    def set_status(self, name: str, status: Any, epoch: int | None) -> None:
        app = self.mine + name
        with self._refused(self._absent(app) or (None if epoch is None else self._stale(app, epoch))):
            self._run(self.store.apps.set_status(app, status, epoch))
            self._change(app, status=status)

    @rule(name=APPS, number=NUMBERS, epoch=st.integers(0, 4))
    def set_running(self, name: str, number: int, epoch: int) -> None:
        app = self.mine + name
        with self._refused(self._absent(app) or self._stale(app, epoch)):
            self._run(self.store.apps.set_running(app, number, "c" * 40, epoch))
            self._change(app, status="running", revision=number, commit="c" * 40)

    @rule(name=APPS, values=st.dictionaries(st.sampled_from(["web.replicas", "web.env.A"]), st.sampled_from("12")))
    def set_settings(self, name: str, values: dict[str, str]) -> None:
        app, settings = self.mine + name, Settings(values=values)
        with self._refused(self._absent(app)):
            self._run(self.store.apps.set_settings(app, settings))
            self._change(app, settings=settings)

    @rule(name=APPS, number=NUMBERS, image=st.sampled_from("12"))
    def save_revision(self, name: str, number: int, image: str) -> None:
        app = self.mine + name
        wanted = revision(self.clock.now, number, app=app, images={"web": image})
        known = self.revisions.get((app, number))
        other = Conflict if known and known.images != wanted.images else None
        with self._refused(self._absent(app) or other):
            self._run(self.store.facts.save_revision(wanted))
            self.revisions.setdefault((app, number), wanted)

    @rule(name=APPS, where=NAMES, ahead=st.sampled_from([0, 1, -1]), image=st.sampled_from("12"))
    def intend(self, name: str, where: tuple[str, str], ahead: int, image: str) -> None:
        app, key = self.mine + name, (self.mine + where[0], where[1])
        epoch = max(0, self.apps[app].epoch + ahead) if app in self.apps else 0
        wanted = spec(name=key[0], app=app, epoch=epoch, image=image)
        known = self.rows.get(key)
        other = SpecMismatch if known and known[0].app != app else None
        with self._refused(self._absent(app) or self._stale(app, epoch) or other):
            self._run(self.store.instances.intend(wanted, key[1]))
            self.rows[key] = (wanted, known[1] if known else None)

    @rule(where=NAMES, epoch=st.integers(0, 4), state=st.sampled_from(["running", "exited"]))
    def record(self, where: tuple[str, str], epoch: int, state: Any) -> None:
        """The newest epoch stays. Of an app that is gone, or of what nobody intended: nothing."""
        key = (self.mine + where[0], where[1])
        known = self.rows.get(key)
        app = known[0].app if known else self.mine + "a"
        told = instance(name=key[0], app=app, provider_id=key[1], epoch=epoch, state=state)
        self._run(self.store.instances.record(told))
        if known and (known[1] is None or known[1].epoch <= epoch):
            self.rows[key] = (known[0], told)

    @rule(where=NAMES, everywhere=st.booleans())
    def forget(self, where: tuple[str, str], everywhere: bool) -> None:
        name, provider = self.mine + where[0], None if everywhere else where[1]
        self._run(self.store.instances.forget(name, provider))
        gone = [key for key in self.rows if key[0] == name and provider in (None, key[1])]
        for key in gone:
            del self.rows[key]

    @rule(name=APPS, message=st.sampled_from(["begun", "ended"]))
    def tell(self, name: str, message: str) -> None:
        told = Event(time=self.clock.now, app=self.mine + name, kind="change", message=message)
        self.events.append(self._run(self.store.facts.add_event(told)))

    @rule()
    def wait(self) -> None:
        self.clock.advance(1)

    @invariant()
    def knows_the_apps(self) -> None:
        known = [app for app in self._run(self.store.apps.list()) if app.name.startswith(self.mine)]
        assert known == [self.apps[name] for name in sorted(self.apps)]

    @invariant()
    def knows_the_changes(self) -> None:
        for app in self._names():
            newest_first = sorted((d for d in self.changes.values() if d.app == app), key=lambda d: -d.number)
            assert self._run(self.store.facts.deployments(app)) == newest_first
            assert len({d.epoch for d in newest_first}) == len(newest_first)

    @invariant()
    def knows_the_revisions(self) -> None:
        for app in self._names():
            expected = [self.revisions[key] for key in sorted(self.revisions, reverse=True) if key[0] == app]
            assert self._run(self.store.facts.revisions(app)) == expected

    @invariant()
    def knows_the_instances(self) -> None:
        for app in self._names():
            known = {(each.name, each.provider_id): each for each in self._run(self.store.instances.list(app))}
            expected = {key: row for key, row in self.rows.items() if row[0].app == app}
            assert set(known) == set(expected)
            for key, (wanted, told) in expected.items():
                assert (
                    known[key] == told if told else (known[key].state, known[key].image) == ("pending", wanted.image)
                )

    @invariant()
    def tells_the_story(self) -> None:
        for app in self._names():
            expected = [event for event in self.events if event.app == app]
            assert self._run(self.store.facts.events(app)) == expected
            assert self._run(self.store.facts.events(app, after=expected[0].id if expected else 0)) == expected[1:]

    def _names(self) -> list[str]:
        return [self.mine + name for name in ("a", "b")]

    def _absent(self, app: str) -> type[IarnetError] | None:
        return None if app in self.apps else NotFound

    def _stale(self, app: str, epoch: int) -> type[IarnetError] | None:
        return StaleEpoch if self.apps[app].epoch > epoch else None

    def _taken(self, app: str, git: GitSource) -> type[IarnetError] | None:
        return AlreadyExists if app in self.apps and self.apps[app].git.url != git.url else None

    def _superseded(self, change: Deployment) -> type[IarnetError] | None:
        newest = max(each.epoch for each in self.changes.values() if each.app == change.app)
        return StaleEpoch if newest > change.epoch else None

    def _created(self, app: str, git: GitSource, title: str) -> App:
        known = self.apps.get(app)
        if known is None:
            last = max((each.epoch for each in self.changes.values() if each.app == app), default=0)
            times = {"created_at": self.clock.now, "updated_at": self.clock.now}
            self.apps[app] = App(name=app, git=git, title=title, epoch=last, **times)
            return self.apps[app]
        git = git.model_copy(update={"credential": git.credential or known.git.credential})
        if git != known.git:
            self._change(app, git=git)
        return self.apps[app]

    def _begun(self, begin: Begin) -> Deployment:
        app = self._created(begin.app, begin.git, "") if begin.git else self.apps[begin.app]
        before = [each for each in self.changes.values() if each.app == app.name]
        for each in before:
            if each.status == "running":
                progress = each.progress or Progress(app=app.name, deployment_id=each.id)
                progress = progress.model_copy(update={"status": "failed", "failure": SUPERSEDED})
                ended = {"status": "failed", "failure": SUPERSEDED, "finished_at": self.clock.now}
                self._update(each, progress=progress, **ended)
        number = len(before) + 1
        begun = Deployment(
            id=f"{app.name}.{number}",
            number=number,
            epoch=app.epoch + 1,
            previous_revision=app.revision,
            started_at=self.clock.now,
            **begin.model_dump(exclude={"git"}),
        )
        self.changes[begun.id] = begun
        self._change(app.name, epoch=begun.epoch, status=STATUS.get(begin.cause, "deploying"))
        return begun

    def _some_change(self, data: st.DataObject) -> Deployment | None:
        return self.changes[data.draw(st.sampled_from(sorted(self.changes)))] if self.changes else None

    def _change(self, app: str, **values: Any) -> None:
        self.apps[app] = self.apps[app].model_copy(update={"updated_at": self.clock.now} | values)

    def _gone(self, app: str) -> None:
        """What is recorded of it goes; its changes and its story stay."""
        self.apps.pop(app, None)
        self.revisions = {key: value for key, value in self.revisions.items() if key[0] != app}
        self.rows = {key: value for key, value in self.rows.items() if value[0].app != app}

    def _update(self, change: Deployment, **values: Any) -> None:
        self.changes[change.id] = change.model_copy(update=values)

    def _refused(self, expected: type[IarnetError] | None) -> Any:
        return Refused(expected)

    def _run(self, call: Any) -> Any:
        return self.runner.run(call)


class Refused:
    """A block that raises what is expected, or nothing when nothing is."""

    def __init__(self, expected: type[IarnetError] | None) -> None:
        self._expected = expected

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> bool:
        if kind is None:
            assert self._expected is None, f"{self._expected} was expected"
        return kind is not None and kind is self._expected


@pytest.mark.search
@pytest.mark.timeout(LONGEST_S)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"] if DEEP else ["sqlite"])
def test_the_store_does_what_the_model_does(database: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    clock = Watch()
    url = (
        f"{request.getfixturevalue('postgres')}/postgres" if database == "postgresql" else f"sqlite:///{tmp_path}/db"
    )
    with asyncio.Runner() as runner:
        store = runner.run(open_store(url, clock))
        machine = type("Machine", (StoreMachine,), {"runner": runner, "store": store, "clock": clock})
        deep = 2_000 if database == "sqlite" else 300
        run_machine(machine, settings=searching(usually=60, deep=deep, steps=20))
        runner.run(store.aclose())
