"""Traces, metrics, logs: declared in tables, empty of ids and of what residents said.

`setup` is called once a process. Without an exporter no span is built: a trace is then just its W3C
trace context, carried from the request through the outbox to the last consumer.
"""

from handoff_kit.telemetry.context import (
    TraceContext,
    child_traceparent,
    current,
    current_trace_id,
    current_traceparent,
    new_traceparent,
    parse_traceparent,
    trace_id_of,
)
from handoff_kit.telemetry.logs import configure_logging
from handoff_kit.telemetry.metrics import (
    METRICS,
    Metrics,
    MetricSpec,
    UndeclaredMetric,
    process_metrics,
)
from handoff_kit.telemetry.spans import (
    Telemetry,
    TelemetrySettings,
    create_traceparent,
    process_spans,
    record_commit,
    record_poll,
    record_send,
    recording,
    server_span,
    setup,
)

__all__ = [
    "METRICS",
    "MetricSpec",
    "Metrics",
    "Telemetry",
    "TelemetrySettings",
    "TraceContext",
    "UndeclaredMetric",
    "child_traceparent",
    "configure_logging",
    "create_traceparent",
    "current",
    "current_trace_id",
    "current_traceparent",
    "new_traceparent",
    "parse_traceparent",
    "process_metrics",
    "process_spans",
    "record_commit",
    "record_poll",
    "record_send",
    "recording",
    "server_span",
    "setup",
    "trace_id_of",
]
