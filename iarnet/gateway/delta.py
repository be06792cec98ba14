"""One conversation with Envoy in the incremental variant of xDS: what it has of each app, and what comes next.

A response carries resources of one type and one app, so that a refusal concerns one app; those that wait to be sent
are joined, and are sent one by one when they are refused together. An app's clusters and their
endpoints come first, when Envoy has accepted those its listeners and their routes, and at last what nothing leads to
any more goes. A cluster that is new comes without its health check at first, and whole in the end: Envoy uses one
with a check only when all its endpoints have been asked, and accepts no other meanwhile.
Protocol: https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, NamedTuple

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DeltaDiscoveryResponse
from google.protobuf.message import Message

from iarnet.gateway.resources import CLUSTER, ENDPOINTS, LISTENER, ROUTES, SECRET, Resources

# Within a step nothing waits: Envoy accepts a cluster only when that has its endpoints.
_STEPS = ((CLUSTER, ENDPOINTS), (LISTENER, ROUTES, SECRET))
_TYPES = tuple(t for step in _STEPS for t in step)
# Envoy asks for all clusters and listeners, and then by name for what those name: endpoints, routes and secrets.
_WHOLE = (CLUSTER, LISTENER)
_NAMED_BY = {CLUSTER: (ENDPOINTS,), LISTENER: (ROUTES, SECRET)}
_UNKNOWN = ""
# Many small responses take Envoy twice as long as few large ones. Beyond this that is a tenth, and the memory that it
# takes to read one is never given back.
_TOGETHER = 16


class Item(NamedTuple):
    """A resource as it travels. `version` is a digest of its content, `first` what goes ahead where there is none."""

    version: str
    body: bytes
    first: "Item | None" = None


Items = Mapping[str, Mapping[str, Item]]
"""Type URL -> resource name -> resource. A name begins with its app's and a slash. What a listener names has the name
of that, or that and a part behind `#`."""


def items(resources: Resources) -> Items:
    return {t: {name: _item(message) for name, message in named.items()} for t, named in resources.items()}


def app_of(name: str) -> str:
    return name.partition("/")[0]


@dataclass
class Batch:
    """What was sent together: resource name -> version, None for what is removed.

    `replaces`: clusters that are there already, in their first form. Nothing waits for that.
    """

    app: str
    type: str
    versions: dict[str, str | None]
    replaces: bool = False


class Answer(NamedTuple):
    """`apps`: those for which something may be due now. `refused`: what Envoy does not accept, and why."""

    apps: set[str]
    refused: Batch | None = None
    reason: str = ""


@dataclass
class _Side:
    """What Envoy has of an app: type -> name -> version, unknown after a refusal.

    `fresh`: clusters that Envoy has anew, and which wait for their endpoints even if it has been told them before.
    `replacing`: clusters that are on their way in their whole form.
    """

    has: dict[str, dict[str, str]] = field(default_factory=lambda: {t: {} for t in _TYPES})
    sent: dict[str, Batch] = field(default_factory=dict)
    fresh: set[str] = field(default_factory=set)
    passed_over: set[tuple[str, str]] = field(default_factory=set)
    replacing: Batch | None = None


class Conversation:
    """From one connection of Envoy to its end. No I/O: requests come in by `hear`, responses are made by `next`."""

    def __init__(self, before: "Conversation | None" = None) -> None:
        """`before`: the one that broke off. Clusters that it sent may still wait for their endpoints."""
        self._opened: set[str] = set()
        self._asked: dict[str, set[str]] = {t: set() for types in _NAMED_BY.values() for t in types}
        self._sides: dict[str, _Side] = {}
        self._sent: dict[str, list[Batch]] = {}
        self._alone: set[str] = set()
        self._nonce = 0
        for batch in (b for together in before._sent.values() for b in together) if before else ():
            if batch.type == CLUSTER:
                self._side(batch.app).fresh.update(batch.versions)

    @property
    def apps(self) -> set[str]:
        """Those of which Envoy may have something."""
        return set(self._sides)

    @property
    def begun(self) -> bool:
        """Whether it is known what Envoy has: it tells that with its first requests."""
        return self._opened.issuperset(_WHOLE)

    def opens(self, request: DeltaDiscoveryRequest) -> bool:
        """Whether it is the first for all of a type. Envoy's start waits for an answer, even an empty one."""
        return request.type_url in _WHOLE and request.type_url not in self._opened

    def hear(self, request: DeltaDiscoveryRequest) -> Answer:
        if request.type_url not in _TYPES:
            return Answer(set())
        apps = self._take_over(request) | self._subscribe(request)
        together = self._sent.pop(request.response_nonce, [])
        apps |= {batch.app for batch in together}
        refused = request.HasField("error_detail")
        if refused and len(together) > 1:
            self._separate(together)
            return Answer(apps)
        for batch in together:
            self._settle(batch, refused=refused)
        return Answer(apps, together[0], str(request.error_detail.message)) if refused and together else Answer(apps)

    def next(self, app: str, wanted: Items) -> DeltaDiscoveryResponse | None:
        """To be asked until it is None: nothing more can be sent before Envoy says something.

        What Envoy asks for by name it gets also before it has said what else it has: it may be waiting for that.
        """
        side = self._side(app)
        for type_url, names in self._due(side, wanted):
            if type_url in self._asked:
                names = [name for name in names if name in self._asked[type_url]]
            elif not self.begun:
                continue
            if names and type_url not in side.sent:
                return self._send(app, type_url, {n: wanted.get(type_url, {}).get(n) for n in names})
        return None

    def replace(self, app: str, wanted: Items) -> DeltaDiscoveryResponse | None:
        """What is there in its first form, by the whole. To be asked once nobody waits for anything else."""
        side = self._side(app)
        has, passed = side.has[CLUSTER], side.passed_over
        named: dict[str, Item | None] = {
            name: item._replace(first=None)
            for name, item in wanted.get(CLUSTER, {}).items()
            if item.first and has.get(name) == item.first.version and (CLUSTER, name) not in passed
        }
        return self._send(app, CLUSTER, named, replaces=True) if named and not side.replacing else None

    def join(self, response: DeltaDiscoveryResponse, other: DeltaDiscoveryResponse) -> bool:
        """Whether the other one, which is not sent yet either, could be made part of the response."""
        first, second = (self._sent.get(each.nonce, []) for each in (response, other))
        together = [*first, *second]
        alone = any(batch.app in self._alone for batch in together)
        if response.type_url != other.type_url or not (first and second) or alone or len(together) > _TOGETHER:
            return False
        response.resources.extend(other.resources)
        response.removed_resources.extend(other.removed_resources)
        self._sent[response.nonce] = together
        del self._sent[other.nonce]
        return True

    def complete(self, app: str, wanted: Items) -> bool:
        """Whether Envoy has exactly this, but for what was passed over, and the checks of clusters that are new."""
        side = self._side(app)
        return self.begun and not side.sent and not self._due(side, wanted)

    def missing(self, app: str, wanted: Items) -> list[str]:
        """Names of what is due first, for messages."""
        return sorted(name for _, names in self._due(self._side(app), wanted) for name in names)

    def pass_over(self, batch: Batch) -> None:
        """Do without what can't be had, and without what it would name."""
        passed = self._side(batch.app).passed_over
        passed.update((t, name) for t in (batch.type, *_NAMED_BY.get(batch.type, ())) for name in batch.versions)

    def passes_over(self, app: str) -> bool:
        return bool(self._side(app).passed_over)

    def reconsider(self, app: str) -> None:
        """Try again what was passed over."""
        self._side(app).passed_over.clear()

    def forget(self, app: str) -> None:
        self._sides.pop(app, None)

    def empty(self, type_url: str) -> DeltaDiscoveryResponse:
        return DeltaDiscoveryResponse(type_url=type_url, nonce=self._new_nonce())

    def _side(self, app: str) -> _Side:
        side = self._sides.get(app)
        if side is None:
            side = self._sides[app] = _Side()
        return side

    def _take_over(self, request: DeltaDiscoveryRequest) -> set[str]:
        """What an Envoy that connects again has already."""
        if request.type_url in self._opened:
            return set()
        self._opened.add(request.type_url)
        apps = set()
        for name, version in request.initial_resource_versions.items():
            side = self._side(app_of(name))
            if request.type_url != ENDPOINTS or name not in side.fresh:
                side.has[request.type_url][name] = version
            apps.add(app_of(name))
        return apps

    def _subscribe(self, request: DeltaDiscoveryRequest) -> set[str]:
        """To ask for a name again means to have forgotten it."""
        if request.type_url in _WHOLE:
            return set()
        asked = self._asked[request.type_url]
        for name in (*request.resource_names_unsubscribe, *request.resource_names_subscribe):
            side = self._sides.get(app_of(name))
            if side and name not in request.initial_resource_versions:
                side.has[request.type_url].pop(name, None)
                if batch := side.sent.get(request.type_url):
                    batch.versions.pop(name, None)
        asked.difference_update(request.resource_names_unsubscribe)
        asked.update(request.resource_names_subscribe)
        return {app_of(name) for name in request.resource_names_subscribe}

    def _separate(self, together: Iterable[Batch]) -> None:
        """Which of them is refused turns out when each comes alone."""
        for batch in together:
            self._alone.add(batch.app)
            side = self._side(batch.app)
            if batch.replaces:
                side.replacing = None
                continue
            side.sent.pop(batch.type, None)
            side.has[batch.type].update(dict.fromkeys(batch.versions, _UNKNOWN))

    def _settle(self, batch: Batch, *, refused: bool) -> None:
        self._alone.discard(batch.app)
        side = self._side(batch.app)
        has = side.has[batch.type]
        if batch.replaces:
            side.replacing = None
        else:
            side.sent.pop(batch.type, None)
        for name, version in batch.versions.items():
            if refused and batch.replaces:
                side.passed_over.add((batch.type, name))
            elif refused:
                has[name] = _UNKNOWN
            elif version is None:
                has.pop(name, None)
            else:
                has[name] = version

    def _due(self, side: _Side, wanted: Items) -> list[tuple[str, list[str]]]:
        """What the first step that is not done needs: names by type."""
        for step in _STEPS:
            due = [(t, new) for t in step if (new := _new(side, t, wanted.get(t, {})))]
            if due or any(t in side.sent for t in step):
                return due
        for t in reversed(_WHOLE):
            if gone := [n for n in side.has[t] if n not in wanted.get(t, {}) and (t, n) not in side.passed_over]:
                return [(t, gone)]
        return []

    def _send(
        self, app: str, type_url: str, named: Mapping[str, Item | None], *, replaces: bool = False
    ) -> DeltaDiscoveryResponse:
        side = self._side(app)
        has = side.has[type_url]
        named = {n: item.first if item and item.first and n not in has else item for n, item in named.items()}
        if type_url == CLUSTER:
            new = {name for name, item in named.items() if item}
            side.fresh |= new
            _drop(side.has[ENDPOINTS], new)
        elif type_url == ENDPOINTS:
            side.fresh -= named.keys()
        versions = {name: item.version if item else None for name, item in named.items()}
        batch = Batch(app, type_url, versions, replaces)
        self._sent[nonce := self._new_nonce()] = [batch]
        if replaces:
            side.replacing = batch
        else:
            side.sent[type_url] = batch
        return DeltaDiscoveryResponse(
            type_url=type_url,
            nonce=nonce,
            resources=[_resource(name, type_url, item) for name, item in named.items() if item],
            removed_resources=[name for name, item in named.items() if not item],
        )

    def _new_nonce(self) -> str:
        self._nonce += 1
        return str(self._nonce)


def _item(message: Message) -> Item:
    body = message.SerializeToString(deterministic=True)
    return Item(sha256(body).hexdigest()[:16], body, _first(message))


def _first(message: Message) -> Item | None:
    if not (isinstance(message, Cluster) and message.health_checks):
        return None
    first = Cluster()
    first.CopyFrom(message)
    first.ClearField("health_checks")
    return _item(first)


def _resource(name: str, type_url: str, item: Item) -> dict[str, Any]:
    return {"name": name, "version": item.version, "resource": {"type_url": type_url, "value": item.body}}


def _new(side: _Side, type_url: str, wanted: Mapping[str, Item]) -> list[str]:
    has, passed = side.has[type_url], side.passed_over
    return [
        name
        for name, item in wanted.items()
        if not _is_there(item, has.get(name)) and passed.isdisjoint((type_url, n) for n in (name, _listener(name)))
    ]


def _listener(name: str) -> str:
    return name.partition("#")[0]


def _is_there(item: Item, version: str | None) -> bool:
    return version == item.version or (item.first is not None and version == item.first.version)


def _drop(named: dict[str, str], names: Iterable[str]) -> None:
    for name in names:
        named.pop(name, None)
