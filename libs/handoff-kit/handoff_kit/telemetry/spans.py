"""Spans by the names of docs/architecture.md; real ones only while somebody exports them.

create {topic}   PRODUCER  an event is written to the outbox; its context goes into the row
send {topic}     PRODUCER  the relay publishes a set
poll {topic}     CONSUMER  a consumer reads a set
process {topic}  CONSUMER  a set is handled; linked to the creation of each of its events
commit {topic}   CONSUMER  offset, inbox and effect are committed

None of these is made of a restricted topic: a span's time is exact, and would join a restricted
case to the other case of the same household that was said at that moment.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from event_schemas.registry import is_restricted
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.trace import TraceFlags as Flags
from opentelemetry.util.types import AttributeValue

from handoff_kit.telemetry import attributes as names
from handoff_kit.telemetry.context import (
    TraceContext,
    activate,
    child_of,
    current,
    deactivate,
    parse_traceparent,
)

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

__all__ = [
    "Telemetry",
    "TelemetrySettings",
    "create_traceparent",
    "process_spans",
    "record_commit",
    "record_poll",
    "record_send",
    "recording",
    "server_span",
    "setup",
]

_MOST_LINKS = 128  # the SDK's own limit; a set may hold more events


@dataclass(frozen=True, slots=True)
class TelemetrySettings:
    """`otlp_endpoint`: base URL of a collector (OTLP over HTTP); None: no span is exported."""

    otlp_endpoint: str | None = None

    @classmethod
    def from_environment(cls) -> TelemetrySettings:
        """OTEL_EXPORTER_OTLP_ENDPOINT; the other OTEL_ variables are read by the SDK itself."""
        return cls(otlp_endpoint=os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or None)


# Per process, as OpenTelemetry's own provider is; None: nobody records.
_tracer: trace.Tracer | None = None


class Telemetry:
    """What `setup` started. `shutdown` sends what is waiting and stops."""

    def __init__(self, provider: TracerProvider | None) -> None:
        self._provider = provider

    def shutdown(self) -> None:
        global _tracer  # noqa: PLW0603
        if self._provider is not None:
            self._provider.shutdown()
            self._provider = None
            _tracer = None


def setup(
    service_name: str,
    settings: TelemetrySettings | None = None,
    *,
    exporter: SpanExporter | None = None,
) -> Telemetry:
    """Start telemetry for this process. `exporter` (for tests) gets each span as it ends."""
    global _tracer  # noqa: PLW0603
    settings = settings or TelemetrySettings.from_environment()
    if exporter is None and not settings.otlp_endpoint:
        return Telemetry(None)
    # Loaded only where it is used: start-up time and memory.
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    provider = TracerProvider(resource=Resource.create({"service.name": service_name}))
    provider.add_span_processor(_processor(settings, exporter))
    _tracer = provider.get_tracer("handoff")
    return Telemetry(provider)


def _processor(settings: TelemetrySettings, exporter: SpanExporter | None) -> SpanProcessor:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

    if exporter is not None:
        return SimpleSpanProcessor(exporter)
    endpoint = (settings.otlp_endpoint or "").rstrip("/") + "/v1/traces"
    return BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint))


@contextmanager
def _span(
    name: str,
    kind: SpanKind,
    attributes: dict[str, AttributeValue],
    parent: TraceContext | None,
) -> Iterator[TraceContext]:
    if _tracer is None:
        token = activate(context := child_of(parent))
        try:
            yield context
        finally:
            deactivate(token)
        return
    span = _tracer.start_span(name, _otel_context(parent), kind, attributes)
    token = activate(context := _own_context(span))
    try:
        with trace.use_span(span, record_exception=False, set_status_on_exception=False):
            yield context
    except BaseException as error:
        _failed(span, error)
        raise
    finally:
        deactivate(token)
        span.end()


def _failed(span: trace.Span, error: BaseException) -> None:
    """The type only: what an exception says may hold a value."""
    span.set_attribute(names.ERROR_TYPE, type(error).__qualname__)
    span.set_status(Status(StatusCode.ERROR))


def _otel_context(parent: TraceContext | None) -> Context:
    if parent is None:
        return Context()
    return trace.set_span_in_context(NonRecordingSpan(_span_context(parent)), Context())


def _span_context(context: TraceContext) -> SpanContext:
    return SpanContext(
        int(context.trace_id, 16),
        int(context.span_id, 16),
        is_remote=True,
        trace_flags=Flags(int(context.flags, 16)),
    )


def _own_context(span: trace.Span) -> TraceContext:
    own = span.get_span_context()
    return TraceContext(
        trace.format_trace_id(own.trace_id),
        trace.format_span_id(own.span_id),
        f"{own.trace_flags:02x}",
    )


def _link(traceparent: str) -> Link:
    context = parse_traceparent(traceparent) or child_of(None)
    return Link(_span_context(context))


def recording() -> bool:
    """Whether spans of this process go anywhere."""
    return _tracer is not None


def create_traceparent(topic: str, cause: str | None) -> str:
    """The traceparent of an event that is said now; *cause*: its cause's, None for a new trace.

    Never that of who is at work: a set says events of many requests.
    """
    parent = parse_traceparent(cause)
    if _tracer is None or is_restricted(topic):
        return child_of(parent).traceparent
    span = _tracer.start_span(
        f"create {topic}",
        _otel_context(parent),
        SpanKind.PRODUCER,
        names.messaging("create", topic),
    )
    span.end()
    return _own_context(span).traceparent


def record_send(counts: Mapping[str, int], began: int) -> None:
    """The relay published so many events of each topic. *began*: nanoseconds of the epoch."""
    for topic, count in counts.items():
        attributes = names.messaging("send", topic, count=count)
        _record("send", topic, SpanKind.PRODUCER, attributes, began)


def record_poll(group: str, counts: Mapping[str, int], began: int) -> None:
    """A consumer read so many events of each topic."""
    for topic, count in counts.items():
        attributes = names.messaging("poll", topic, count=count, group=group)
        _record("poll", topic, SpanKind.CONSUMER, attributes, began)


def record_commit(group: str, topics: Iterable[str], began: int) -> None:
    """Offset, inbox and effect of a set are committed."""
    for topic in topics:
        attributes = names.messaging("commit", topic, group=group)
        _record("commit", topic, SpanKind.CONSUMER, attributes, began)


def _record(
    operation: str, topic: str, kind: SpanKind, attributes: dict[str, AttributeValue], began: int
) -> None:
    if _tracer is not None and not is_restricted(topic):
        name, context = f"{operation} {topic}", _otel_context(current())
        _tracer.start_span(name, context, kind, attributes, start_time=began).end()


@contextmanager
def process_spans(group: str, creates: Mapping[str, Sequence[str]]) -> Iterator[TraceContext]:
    """A set is handled. *creates*: the traceparents of its events by topic.

    A set of one continues the trace of its event; a larger one has a trace of its own.
    """
    all_ = [create for found in creates.values() for create in found]
    parent = parse_traceparent(all_[0]) if len(all_) == 1 else None
    started = [
        _tracer.start_span(
            f"process {topic}",
            _otel_context(parent),
            SpanKind.CONSUMER,
            names.messaging("process", topic, count=len(found), group=group),
            [_link(create) for create in found[:_MOST_LINKS]],
        )
        for topic, found in creates.items()
        if _tracer is not None and not is_restricted(topic)
    ]
    context = _own_context(started[0]) if started else child_of(parent)
    token = activate(context)
    try:
        yield context
    except BaseException as error:
        for span in started:
            _failed(span, error)
        raise
    finally:
        deactivate(token)
        for span in started:
            span.end()


@contextmanager
def server_span(method: str, traceparent: str | None) -> Iterator[TraceContext]:
    """One HTTP request; continues the caller's trace."""
    attributes: dict[str, AttributeValue] = {names.HTTP_METHOD: method}
    parent = parse_traceparent(traceparent)
    with _span(method, SpanKind.SERVER, attributes, parent) as context:
        yield context


def describe_server_span(method: str, route: str, status: int) -> None:
    """Name the current request's span by its route, once that is known."""
    if _tracer is None:
        return
    span = trace.get_current_span()
    span.update_name(f"{method} {route}")
    span.set_attributes({names.HTTP_ROUTE: route, names.HTTP_STATUS: status})
    if status >= 500:
        span.set_status(Status(StatusCode.ERROR))
