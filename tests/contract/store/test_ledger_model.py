"""The ledger against a model that is simple enough to be believed."""

import asyncio
import itertools
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from iarnet.errors import NoRoom, NotFound
from iarnet.models.lease import Lease, Place
from iarnet.models.resources import Resources
from iarnet.store.base import Store
from iarnet.store.open import open_store
from tests.contract.store.values import Watch, lease
from tests.depth import LONGEST_S, searching

IDS = st.sampled_from("abcd")
PROVIDERS = st.sampled_from(["box", "cloud"])
AMOUNTS = st.builds(
    Resources, memory_bytes=st.integers(0, 4), storage_bytes=st.integers(0, 2), cpu_millis=st.integers(0, 9)
)
ASKED = st.lists(st.tuples(IDS, PROVIDERS, AMOUNTS, st.sampled_from([None, 5, 60])), min_size=1, max_size=3)
KEYS = st.sampled_from(["web/80/tcp", "api/80/tcp", "api/80/udp"])
PLACES = st.tuples(st.integers(1, 3), st.sampled_from(["tcp", "udp"]))
APPS = st.sampled_from(["shop", "other"])


class LedgerMachine(RuleBasedStateMachine):
    runner: asyncio.Runner
    store: Store
    clock: Watch
    examples = itertools.count()

    def __init__(self) -> None:
        super().__init__()
        self.mine = f"{next(self.examples)}-"
        self.rows: dict[str, Lease] = {}
        self.held: dict[tuple[str, Place], tuple[str, str]] = {}

    @rule(asked=ASKED, limit=AMOUNTS)
    def reserve(self, asked: list[tuple[str, str, Resources, int | None]], limit: Resources) -> None:
        leases = {self.mine + name: self._lease(name, *rest) for name, *rest in asked}
        known = self._purged({one.provider_id for one in leases.values()})
        fits = all(
            self._fits(provider, leases, known, limit) for provider in {o.provider_id for o in leases.values()}
        )
        limits = {self.mine + provider: limit for provider in ("box", "cloud")}
        try:
            self._run(self.store.ledger.reserve(list(leases.values()), limits))
        except NoRoom:
            assert not fits
            return
        assert fits
        for name, one in leases.items():
            active = name in known and self._counts(known[name]) and known[name].state == "active"
            known[name] = one.model_copy(update={"state": "active", "expires_at": None}) if active else one
        self.rows = known

    @rule(name=IDS)
    def activate(self, name: str) -> None:
        try:
            self._run(self.store.ledger.activate(self.mine + name))
        except NotFound:
            assert self.mine + name not in self.rows
            return
        row = self.rows[self.mine + name]
        self.rows[row.id] = row.model_copy(update={"state": "active", "expires_at": None})

    @rule(names=st.sets(IDS))
    def release(self, names: set[str]) -> None:
        self._run(self.store.ledger.release([self.mine + name for name in names]))
        for name in names:
            self.rows.pop(self.mine + name, None)

    @rule(seconds=st.sampled_from([1, 5, 60]))
    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule(provider=PROVIDERS, app=APPS, key=KEYS, place=PLACES)
    def claim(self, provider: str, app: str, key: str, place: Place) -> None:
        holder = (self.mine + app, key)
        got = self._run(self.store.ledger.claim_port(self.mine + provider, *holder, place))
        assert got == (self.held.get((provider, place), holder) == holder)
        if got:
            self.held = {k: v for k, v in self.held.items() if (k[0], v) != (provider, holder)}
            self.held[provider, place] = holder

    @rule(app=APPS, keep=st.sets(st.tuples(PROVIDERS, KEYS)))
    def release_ports(self, app: str, keep: set[tuple[str, str]]) -> None:
        kept = {(self.mine + provider, key) for provider, key in keep}
        self._run(self.store.ledger.release_ports(self.mine + app, kept))
        self.held = {k: v for k, v in self.held.items() if v[0] != self.mine + app or (k[0], v[1]) in keep}

    @invariant()
    def says_what_the_model_says(self) -> None:
        for provider in ("box", "cloud"):
            counted = [
                one for one in self.rows.values() if one.provider_id == self.mine + provider and self._counts(one)
            ]
            told = self._run(self.store.ledger.leases(self.mine + provider))
            assert told == sorted(counted, key=lambda one: one.id)
            ports = self._run(self.store.ledger.ports(self.mine + provider))
            assert ports == {place: holder for (where, place), holder in self.held.items() if where == provider}

    def _lease(self, name: str, provider: str, amount: Resources, ttl_s: int | None) -> Lease:
        expires = None if ttl_s is None else self.clock.now + timedelta(seconds=ttl_s)
        return lease(self.mine + name, provider_id=self.mine + provider, resources=amount, expires_at=expires)

    def _counts(self, one: Lease) -> bool:
        return one.state == "active" or one.expires_at is None or one.expires_at > self.clock.now

    def _purged(self, providers: set[str]) -> dict[str, Lease]:
        return {k: v for k, v in self.rows.items() if v.provider_id not in providers or self._counts(v)}

    def _fits(self, provider: str, asked: dict[str, Lease], known: dict[str, Lease], limit: Resources) -> bool:
        def total(rows: list[Lease], what: str) -> int:
            return sum(getattr(one.resources, what) for one in rows if one.provider_id == provider)

        others = [one for name, one in known.items() if name not in asked]
        before = [one for name, one in known.items() if name in asked and self._counts(one)]
        return all(
            total(list(asked.values()), what) <= max(getattr(limit, what) - total(others, what), total(before, what))
            for what in ("memory_bytes", "storage_bytes", "gpu_millis")
        )

    def _run(self, call: Any) -> Any:
        return self.runner.run(call)


@pytest.mark.search
@pytest.mark.timeout(LONGEST_S)
def test_the_ledger_does_what_the_model_does(url: str) -> None:
    """Fewer examples on PostgreSQL: the statements are the same, and each takes three times as long."""
    clock = Watch()
    with asyncio.Runner() as runner:
        store = runner.run(open_store(url, clock))
        machine = type("Machine", (LedgerMachine,), {"runner": runner, "store": store, "clock": clock})
        run_state_machine_as_test(
            machine,
            settings=searching(usually=50, deep=2_000, steps=15)
            if url.startswith("sqlite")
            else searching(usually=20, deep=500, steps=15),
        )
        runner.run(store.aclose())
