"""What is noted of a call, and that without a tracer nothing is."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from iarnet import tracing
from iarnet.models.source import GitSource


@dataclass
class Recording:
    """Implements `iarnet.tracing.Tracer`."""

    spans: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    @contextmanager
    def span(self, name: str, attributes: Mapping[str, str]) -> Iterator[None]:
        self.spans.append((name, dict(attributes)))
        yield

    def request(self, method: str, path: str, headers: Mapping[str, str]) -> object:
        return self.span(f"{method} {path}", headers)

    def trace_id(self) -> str:
        return "t"


@pytest.fixture
def recorded() -> Iterator[list[tuple[str, dict[str, str]]]]:
    made = Recording()
    tracing.use(made)
    yield made.spans
    tracing.use(None)


@tracing.traced("there", "deploy", "_start", "resolve")
class There:
    info = SimpleNamespace(id="box")

    async def deploy(self, spec: object) -> str:
        """Deploys."""
        return await self._start("made", again=True)

    async def _start(self, id: str, *, again: bool) -> str:
        return f"{id} {again}"

    async def resolve(self, git: GitSource) -> None:
        raise KeyError(git.url)

    async def other(self) -> None: ...


async def test_calls_are_spans_with_what_they_are_about(recorded: list[tuple[str, dict[str, str]]]) -> None:
    there = There()
    assert await there.deploy(SimpleNamespace(name="web-0", image="web:1")) == "made True"
    await there.other()
    with pytest.raises(KeyError):
        await there.resolve(GitSource(url="https://example.com/shop.git"))
    assert recorded == [
        ("there.deploy", {"iarnet.about": "web-0", "iarnet.provider": "box"}),
        ("there.start", {"iarnet.about": "made", "iarnet.provider": "box"}),
        ("there.resolve", {"iarnet.provider": "box"}),
    ]
    assert (There.deploy.__name__, There.deploy.__doc__) == ("deploy", "Deploys.")


async def test_without_a_tracer_nothing_is_noted() -> None:
    assert await There().deploy(SimpleNamespace(name="web-0")) == "made True"
    with tracing.span("any"), tracing.request("POST", "/", {}):
        assert tracing.trace_id() == ""
