"""Values for the tests of the store."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from iarnet.models.app import Revision
from iarnet.models.change import Begin
from iarnet.models.component import Component, EnvVar, HealthCheck, Port, Volume
from iarnet.models.edge import Edge
from iarnet.models.instance import Instance, InstanceSpec, PortBinding
from iarnet.models.lease import Lease
from iarnet.models.resources import MIB, Resources
from iarnet.models.source import GitSource, Source

GIT = GitSource(url="https://example.org/shop.git")
COMMIT, TREE = "a" * 40, "b" * 40
NAME = "iarnet-shop-web-r1-0"

_runs = itertools.count(1)


class Watch:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = datetime(2025, 3, 30, 1, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def begin(**values: Any) -> Begin:
    """Of a run of its own unless `run_id` is given."""
    return Begin(
        **{"app": "shop", "cause": "deploy", "workflow_id": "change.shop", "run_id": f"run-{next(_runs)}"} | values
    )


def source(fetched_at: datetime, **values: Any) -> Source:
    return Source(**{"app": "shop", "git": GIT, "commit": COMMIT, "tree": TREE, "fetched_at": fetched_at} | values)


def component(name: str) -> Component:
    return Component(
        name=name,
        kind="web",
        image="nginx",
        ports=(Port(port=80, publish="auto"),),
        env=(EnvVar(name="URL", value="postgres://app:{secret}@db", secret="shop/db/password"),),
        health=HealthCheck(type="http"),
        volumes=(Volume(name="data", path="/data"),),
    )


def revision(created_at: datetime, number: int = 1, **values: Any) -> Revision:
    known = {
        "app": "shop",
        "number": number,
        "commit": COMMIT,
        "tree": TREE,
        "components": (component("web"), component("db")),
        "edges": (Edge(from_="web", to="db", type="database"),),
        "images": {"web": "nginx@sha256:1"},
        "created_at": created_at,
    }
    return Revision(**known | values)


def spec(**values: Any) -> InstanceSpec:
    known = {
        "name": NAME,
        "app": "shop",
        "component": "web",
        "kind": "web",
        "owner": "node",
        "revision": 1,
        "replica": 0,
        "epoch": 1,
        "image": "nginx",
        "ports": (PortBinding(port=80, host_port=8080),),
    }
    return InstanceSpec(**known | values)


def instance(**values: Any) -> Instance:
    known = {
        "name": NAME,
        "app": "shop",
        "component": "web",
        "provider_id": "box",
        "spec_hash": spec().spec_hash,
        "state": "running",
        "epoch": 1,
    }
    return Instance(**known | values)


def lease(name: str, *, mib: int = 1, **values: Any) -> Lease:
    known = {
        "id": name,
        "provider_id": "box",
        "app": "shop",
        "component": "web",
        "instance": name,
        "resources": Resources(memory_bytes=mib * MIB),
        "state": "reserved",
    }
    return Lease(**known | values)
