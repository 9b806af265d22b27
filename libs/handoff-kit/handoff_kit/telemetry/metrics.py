"""Metrics, declared in one table first. What is not in it cannot be counted.

Labels are closed lists (a service, a topic, a route's template), never ids.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal, cast

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

__all__ = ["METRICS", "MetricSpec", "Metrics", "UndeclaredMetric", "process_metrics"]

Kind = Literal["counter", "gauge", "histogram"]

# Seconds. The doorway's goal is a few milliseconds, a drain after a fault may take minutes.
_LATENCIES = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300)


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """One metric as docs and tests read it. `unit`: of the value; events, seconds, ..."""

    name: str
    kind: Kind
    unit: str
    labels: tuple[str, ...]
    help: str


METRICS: Final[tuple[MetricSpec, ...]] = (
    MetricSpec(
        "handoff_outbox_pending",
        "gauge",
        "events",
        ("service",),
        "Events committed and not yet published",
    ),
    MetricSpec(
        "handoff_outbox_oldest_seconds",
        "gauge",
        "seconds",
        ("service",),
        "Age of the oldest event not yet published; 0 when there is none",
    ),
    MetricSpec(
        "handoff_consumer_lag",
        "gauge",
        "events",
        ("group", "topic"),
        "Events on the topic that the group has not processed",
    ),
    MetricSpec(
        "handoff_consumer_oldest_seconds",
        "gauge",
        "seconds",
        ("group", "topic"),
        "Seconds since the group was last at the end of the topic; 0 when it is there now",
    ),
    MetricSpec(
        "handoff_consumer_skipped_total",
        "counter",
        "events",
        ("group", "topic"),
        "Events that do not concern the group, passed over",
    ),
    MetricSpec(
        "handoff_end_to_end_seconds",
        "histogram",
        "seconds",
        ("group", "topic"),
        "From the event's creation to the commit of its effect",
    ),
    MetricSpec(
        "handoff_parked",
        "gauge",
        "events",
        ("group", "reason"),
        "Events parked that failed, or that wait for more than a minute",
    ),
    MetricSpec(
        "handoff_deliveries_total",
        "counter",
        "attempts",
        ("channel", "status_class"),
        "Delivery attempts by channel and by class of answer (2xx, 4xx, 5xx, error)",
    ),
    MetricSpec(
        "handoff_consent_denials_total",
        "counter",
        "requests",
        ("reason",),
        "Requests for a resident's facts that no consent covered",
    ),
    MetricSpec(
        "handoff_audit_verified",
        "gauge",
        "boolean",
        ("service",),
        "1 when the last verification of the audit chain found it whole, 0 when not",
    ),
    MetricSpec(
        "handoff_http_requests_total",
        "counter",
        "requests",
        ("service", "method", "route", "status_class"),
        "HTTP requests by route template",
    ),
    MetricSpec(
        "handoff_http_request_seconds",
        "histogram",
        "seconds",
        ("service", "route"),
        "Time from the first byte of a request to the last of its answer",
    ),
)

_ID_LIKE = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}|\d{9,}|@", re.IGNORECASE)
_LONGEST_LABEL = 120


class UndeclaredMetric(ValueError):
    """A metric, a label or a label's value is not in the table of metrics."""


class Metrics:
    """Counts into one registry; `exposition` is the body of /metrics."""

    def __init__(self, specs: tuple[MetricSpec, ...] = METRICS) -> None:
        self._registry = CollectorRegistry(auto_describe=True)
        self._specs = {spec.name: spec for spec in specs}
        self._families = {spec.name: self._family(spec) for spec in specs}
        self._children: dict[tuple[str, tuple[tuple[str, str], ...]], object] = {}

    def count(self, name: str, amount: float = 1, /, **labels: str) -> None:
        """Add to a counter. Raises UndeclaredMetric."""
        cast(Counter, self._child(name, "counter", labels)).inc(amount)

    def set(self, name: str, value: float, /, **labels: str) -> None:
        """Set a gauge. Raises UndeclaredMetric."""
        cast(Gauge, self._child(name, "gauge", labels)).set(value)

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        """Observe one value of a histogram. Raises UndeclaredMetric."""
        cast(Histogram, self._child(name, "histogram", labels)).observe(value)

    def value(self, name: str, /, **labels: str) -> float | None:
        """The present value of a counter or gauge; None where it was never set."""
        return self._registry.get_sample_value(name, labels)

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format 0.0.4."""
        return generate_latest(self._registry)

    def _family(self, spec: MetricSpec) -> Counter | Gauge | Histogram:
        if spec.kind == "counter":
            return Counter(spec.name, spec.help, spec.labels, registry=self._registry)
        if spec.kind == "gauge":
            return Gauge(spec.name, spec.help, spec.labels, registry=self._registry)
        return Histogram(
            spec.name, spec.help, spec.labels, registry=self._registry, buckets=_LATENCIES
        )

    def _child(self, name: str, kind: Kind, labels: dict[str, str]) -> object:
        key = (name, tuple(labels.items()))
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = self._new_child(name, kind, labels)
        return child

    def _new_child(self, name: str, kind: Kind, labels: dict[str, str]) -> object:
        spec = self._specs.get(name)
        if spec is None or spec.kind != kind:
            raise UndeclaredMetric(f"{name} is not a declared {kind}")
        if set(labels) != set(spec.labels):
            raise UndeclaredMetric(f"{name} has the labels {spec.labels}")
        for label, value in labels.items():
            if len(value) > _LONGEST_LABEL or _ID_LIKE.search(value):
                raise UndeclaredMetric(f"the value of {name}'s label {label} looks like an id")
        return self._families[name].labels(**labels)


@cache
def process_metrics() -> Metrics:
    """The registry of this process, for wiring modules to hand on."""
    return Metrics()
