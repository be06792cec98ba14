"""One trace for each deployment, from the request to what runs, as a collector gets it."""

import asyncio
import json
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from iarnet.config import load_settings
from iarnet.providers.memory import MemoryProvider
from tests.e2e.busybox import application, worker
from tests.e2e.forked import ForkedNode
from tests.e2e.harness import HTTP, until
from workers import data_directory, mode
from workers.node import running

pytestmark = pytest.mark.e2e

GIVEN = "0af7651916cd43dd8448eb211c80319c"


@dataclass
class Collector:
    """Takes what is sent by OTLP over HTTP, as a collector does."""

    url: str = ""
    spans: list[Span] = field(default_factory=list)

    def take(self, body: bytes) -> None:
        sent = ExportTraceServiceRequest.FromString(body)
        self.spans += [span for r in sent.resource_spans for scope in r.scope_spans for span in scope.spans]

    def trace(self, id: str) -> list[Span]:
        return [span for span in self.spans if span.trace_id.hex() == id]

    def has(self, trace: str, *names: str) -> bool:
        return {span.name for span in self.trace(trace)} >= set(names)


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    made = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found = self.path == "/v1/traces"
            if found:
                made.take(body)
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        made.url = f"http://127.0.0.1:{server.server_port}"
        yield made
        server.shutdown()
        thread.join(10)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[ForkedNode]:
    """Without an engine. It is told of the collector as any program is."""
    extra = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
    made = ForkedNode(tmp_path_factory.mktemp("traced"), "none", extra=extra, run=in_memory)
    try:
        made.up()
        yield made
    finally:
        made.end()


WHOLE = ("StartWorkflow:DeployApp", "CompleteWorkflow:DeployApp")
LOST = "iarnet-traced-one-r1-0"


def in_memory() -> None:
    """A node that has the `memory` provider, until SIGTERM. SIGUSR1: an instance there is gone."""
    environ = dict(os.environ)
    settings = mode.settled(load_settings(None, environ, {}).settings, environ)

    async def until_told() -> None:
        told, provider = asyncio.Event(), MemoryProvider(home=settings.node_name)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, provider.lose, LOST)
        async with running(settings, "node", [provider]):
            await told.wait()

    with data_directory.held(settings.data_dir):
        asyncio.run(until_told())


def test_a_deployment_is_one_trace(node: ForkedNode, collector: Collector, repositories: Path) -> None:
    source = application(repositories / "traced", worker("one"), worker("two", needs="[one]"))
    node.ok("deploy", source.url, "--name", "traced")
    trace = json.loads(node.ok("--json", "status", "traced").out)["deployment"]["trace"]
    request = "POST /api/v1/apps/traced/deploy"
    until(lambda: collector.has(trace, request, *WHOLE), f"both ends of {trace}")
    spans = {span.span_id: span for span in collector.trace(trace)}
    names = {span.name for span in spans.values()}
    assert names >= {"RunActivity:ensure_watch", "RunActivity:deploy_instance"}
    assert "RunWorkflow:HealthWatch" not in names, "it outlives the deployment"
    assert sorted(_told(s, "iarnet.about") for s in spans.values() if s.name == "memory.deploy") == [
        "iarnet-traced-one-r1-0",
        "iarnet-traced-two-r1-0",
    ]
    began = [span for span in spans.values() if span.parent_span_id not in spans]
    assert [(span.name, span.parent_span_id) for span in began] == [(request, b"")]
    events = node.ok("--json", "events", "traced").out.splitlines()
    assert {e["kind"] for e in map(json.loads, events) if e["data"].get("trace") == trace} == {
        "change.begun",
        "change.succeeded",
    }


def test_what_a_node_heals_is_a_trace_of_its_own(node: ForkedNode, collector: Collector) -> None:
    assert node.process
    node.process.send_signal(signal.SIGUSR1)

    def healed() -> str:
        found = node.api("GET", "/api/v1/apps/traced/deployments").json()["deployments"]
        return next((d["trace"] for d in found if d["cause"] == "heal"), "")

    trace = until(healed, "the node mends what is gone")
    until(lambda: collector.has(trace, *WHOLE), f"both ends of {trace}")
    assert [span.name for span in collector.trace(trace) if not span.parent_span_id] == ["StartWorkflow:DeployApp"]


def test_a_trace_that_has_begun_elsewhere_goes_on(node: ForkedNode, collector: Collector, repositories: Path) -> None:
    source = application(repositories / "unseen", worker("one"))
    headers = {"Authorization": f"Bearer {node.token}", "traceparent": f"00-{GIVEN}-b7ad6b7169203331-01"}
    answer = HTTP.post(f"{node.url}/api/v1/apps", json={"url": source.url, "name": "unseen"}, headers=headers)
    node.finished(answer)
    until(lambda: collector.has(GIVEN, "POST /api/v1/apps", "git.fetch"), "the trace that the request named")


def test_a_call_that_fails_is_marked_with_the_code_alone(
    node: ForkedNode, collector: Collector, repositories: Path
) -> None:
    source = application(repositories / "missing", worker("one"))
    missing = node.cli("--json", "deploy", f"{source.url}-not-there", "--name", "missing")
    assert missing.code != 0
    until(lambda: any(s.name == "git.resolve" and _failed(s) for s in collector.spans), "a span that failed")
    failed = [span for span in collector.spans if span.name == "git.resolve" and _failed(span)]
    assert {(_told(span, "error.type"), span.status.message) for span in failed} == {("RepositoryNotFound", "")}
    assert not any(span.events for span in collector.spans)


def test_traces_begin_with_what_changes_something(collector: Collector) -> None:
    """Not with a look at the progress of a run, nor with a watch, which never ends."""
    begins = ("POST /api/v1/apps", "StartWorkflow:DeployApp", "StartWorkflow:Reconcile")

    def without() -> dict[str, list[str]]:
        """Of a trace the beginning may come last."""
        all = {span.trace_id.hex() for span in collector.spans}
        names = {trace: [span.name for span in collector.trace(trace)] for trace in all}
        return {trace: found for trace, found in names.items() if not any(n.startswith(begins) for n in found)}

    until(lambda: not without(), f"each trace has a beginning: {without()}")


def _told(span: Span, key: str) -> str:
    return next((a.value.string_value for a in span.attributes if a.key == key), "")


def _failed(span: Span) -> bool:
    return span.status.code == Status.STATUS_CODE_ERROR
