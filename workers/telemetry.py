"""Traces of changes, sent by OTLP over HTTP. Loaded only when somebody wants them.

Spans of Temporal's own come from its interceptor; their context travels in the headers of workflows and activities.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from importlib.metadata import version
from threading import Thread
from typing import Any

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, Sampler, SamplingResult
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from temporalio.client import Interceptor, OutboundInterceptor, StartWorkflowInput, WorkflowHandle
from temporalio.contrib.opentelemetry import TracingInterceptor

from iarnet import tracing
from iarnet.errors import IarnetError

_EVERY_MS = 1000
_END_S = 2.0
_METHOD = "http.request.method"
_STARTS = "StartWorkflow:"


@asynccontextmanager
async def tracing_to(endpoint: str, node: str) -> AsyncIterator[Sequence[Interceptor]]:
    """Until the block ends, spans of this process go there; yields what Temporal's client needs.

    What the standard variables `OTEL_EXPORTER_OTLP_*` say of headers, certificates and timeouts holds.
    """
    provider = TracerProvider(
        sampler=ParentBased(_Beginnings()),
        resource=Resource.create({"service.name": "iarnet", "service.version": version("iarnet"), "host.name": node}),
        # What is recorded of an exception would be its stack, which is for the log.
        span_limits=SpanLimits(max_events=0),
        shutdown_on_exit=False,
    )
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=_EVERY_MS))
    tracer = provider.get_tracer("iarnet")
    tracing.use(_Tracer(tracer))
    try:
        yield [_Interceptor(tracer)]
    finally:
        tracing.use(None)
        await asyncio.to_thread(_end, provider, exporter)


def _end(provider: TracerProvider, exporter: SpanExporter) -> None:
    """What is left is sent, unless nobody takes it: a node that is told to stop must not wait for a collector."""
    sending = Thread(target=provider.shutdown, daemon=True)
    sending.start()
    sending.join(_END_S)
    if sending.is_alive():
        exporter.shutdown()


class _Tracer:
    """Implements `iarnet.tracing.Tracer`."""

    def __init__(self, tracer: trace.Tracer) -> None:
        self._tracer = tracer

    @contextmanager
    def request(self, method: str, path: str, headers: Mapping[str, str]) -> Iterator[None]:
        given = TraceContextTextMapPropagator().extract(headers)
        with self._span(f"{method} {path}", {_METHOD: method, "url.path": path}, SpanKind.SERVER, given):
            yield

    @contextmanager
    def span(self, name: str, attributes: Mapping[str, str]) -> Iterator[None]:
        with self._span(name, attributes, SpanKind.INTERNAL):
            yield

    def trace_id(self) -> str:
        here = trace.get_current_span().get_span_context()
        return trace.format_trace_id(here.trace_id) if here.trace_flags.sampled else ""

    @contextmanager
    def _span(
        self, name: str, attributes: Mapping[str, str], kind: SpanKind, parent: Context | None = None
    ) -> Iterator[None]:
        """Of an error it tells the code alone: only on its way out of the activity is the message redacted."""
        with self._tracer.start_as_current_span(
            name, parent, kind, attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield
            except BaseException as error:
                code = error.code if isinstance(error, IarnetError) else type(error).__name__
                span.set_status(Status(StatusCode.ERROR))
                span.set_attribute("error.type", code)
                raise


class _Interceptor(TracingInterceptor):
    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        return _Outbound(super().intercept_client(next))


class _Outbound(OutboundInterceptor):
    """A watch outlives the change that starts it, and is no part of its trace; what a watch starts is a new one."""

    async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[Any, Any]:
        is_traced = trace.get_current_span().get_span_context().trace_flags.sampled
        if is_traced and not _is_watch(input.workflow):
            return await super().start_workflow(input)
        before = context.attach(Context())
        try:
            return await super().start_workflow(input)
        finally:
            context.detach(before)


class _Beginnings(Sampler):
    """A trace begins with a request that changes something, or with a change that a node starts by itself.

    Not with a watch, which never ends, nor with a look at what is going on.
    """

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Any = None,
        links: Any = None,
        trace_state: Any = None,
    ) -> SamplingResult:
        started = name.startswith(_STARTS) and not _is_watch(name)
        begins = started or _METHOD in (attributes or ())
        return SamplingResult(Decision.RECORD_AND_SAMPLE if begins else Decision.DROP, attributes)

    def get_description(self) -> str:
        return "what begins a change"


def _is_watch(name: str) -> bool:
    return name.endswith("Watch")
