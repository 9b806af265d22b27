"""Traces go on without spans; spans link; metrics are declared; logs hold no values."""

import io
import json
import logging
import sys
import threading
from collections.abc import Iterator

import pytest
from handoff_kit.errors import NotVisible
from handoff_kit.telemetry import (
    METRICS,
    Metrics,
    TelemetrySettings,
    UndeclaredMetric,
    child_traceparent,
    configure_logging,
    create_traceparent,
    current,
    current_trace_id,
    current_traceparent,
    new_traceparent,
    parse_traceparent,
    process_metrics,
    process_spans,
    record_commit,
    record_poll,
    record_send,
    recording,
    server_span,
    setup,
    trace_id_of,
)
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

CANARY = "canary-7f3a"
SENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE = "0af7651916cd43dd8448eb211c80319c"


# -- context -------------------------------------------------------------------------------------


def test_a_traceparent_is_read_and_written() -> None:
    context = parse_traceparent(SENT)
    assert context is not None
    assert context.traceparent == SENT
    assert trace_id_of(SENT) == TRACE


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "00",
        SENT.upper(),
        SENT + "-more",
        "ff" + SENT[2:],
        "00-" + "0" * 32 + "-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-" + "0" * 16 + "-01",
    ],
)
def test_a_broken_traceparent_starts_a_new_trace(text: str | None) -> None:
    assert parse_traceparent(text) is None
    assert parse_traceparent(child_traceparent(text)) is not None


@given(st.text(max_size=60))
def test_any_text_is_a_traceparent_or_none(text: str) -> None:
    context = parse_traceparent(text)
    assert context is None or context.trace_id in text


def test_a_later_version_is_read_by_its_known_parts() -> None:
    assert trace_id_of("01" + SENT[2:] + "-more") == TRACE


def test_a_child_stays_in_the_trace_with_a_span_of_its_own() -> None:
    child = child_traceparent(SENT)
    assert child != SENT
    assert (trace_id_of(child), child[-2:]) == (TRACE, "01")
    assert len({new_traceparent() for _ in range(100)}) == 100


def test_without_an_exporter_traces_go_on_all_the_same() -> None:
    assert current() is None
    assert not recording()
    with server_span("POST", SENT):
        assert current_trace_id() == TRACE
        create = create_traceparent("handoff.cases", current_traceparent())
        assert trace_id_of(create) == TRACE
        # What has no cause begins a trace, whoever is at work.
        assert trace_id_of(create_traceparent("handoff.cases", None)) != TRACE
        record_send({"handoff.cases": 3}, 0)
        record_poll("g", {"handoff.cases": 3}, 0)
    assert current() is None
    with process_spans("g", {"handoff.cases": [create]}):
        assert current_trace_id() == TRACE
    assert current() is None


# -- spans ---------------------------------------------------------------------------------------


@pytest.fixture
def exported() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    telemetry = setup("partner", TelemetrySettings(), exporter=exporter)
    yield exporter
    telemetry.shutdown()


def test_one_trace_leads_from_the_doorway_to_the_consumer(exported: InMemorySpanExporter) -> None:
    with server_span("POST", SENT):
        create = create_traceparent("handoff.referrals", current_traceparent())
    with process_spans("referral", {"handoff.referrals": [create]}):
        offer = create_traceparent("handoff.offers", create)
    spans = {span.name: span for span in exported.get_finished_spans()}
    assert {format(span.context.trace_id, "032x") for span in spans.values()} == {TRACE}
    assert spans["create handoff.referrals"].kind is SpanKind.PRODUCER
    process = spans["process handoff.referrals"]
    assert process.kind is SpanKind.CONSUMER
    assert process.links[0].context.span_id == spans["create handoff.referrals"].context.span_id
    assert format(spans["create handoff.offers"].context.span_id, "016x") in offer
    assert process.attributes is not None
    assert process.attributes["messaging.consumer.group.name"] == "referral"
    assert process.resource.attributes["service.name"] == "partner"


def test_a_set_has_a_trace_of_its_own_and_links_to_each(exported: InMemorySpanExporter) -> None:
    creates = [new_traceparent() for _ in range(300)]
    with process_spans("portal", {"handoff.cases": creates}):
        pass
    (cases,) = exported.get_finished_spans()
    assert len(cases.links) == 128
    assert cases.attributes is not None
    assert cases.attributes["messaging.batch.message_count"] == 300
    assert format(cases.context.trace_id, "032x") not in {trace_id_of(c) for c in creates}


def test_no_span_tells_when_a_restricted_topic_moved(exported: InMemorySpanExporter) -> None:
    """Its time is exact, and would join the case to another one that moved at that moment."""
    usual, restricted = "handoff.cases", "handoff.restricted.cases"
    alone = create_traceparent(restricted, None)
    assert parse_traceparent(alone) is not None
    both = {usual: [create_traceparent(usual, None)], restricted: [alone]}
    with process_spans("portal", both):
        pass
    counts = {usual: 1, restricted: 1}
    record_send(counts, 1)
    record_poll("portal", counts, 1)
    record_commit("portal", counts, 1)
    spans = exported.get_finished_spans()
    assert [span.name for span in spans] == [
        f"{what} {usual}" for what in ("create", "process", "send", "poll", "commit")
    ]
    traces = {format(span.context.trace_id, "032x") for span in spans}
    traces |= {format(link.context.trace_id, "032x") for span in spans for link in span.links}
    assert trace_id_of(alone) not in traces


def test_a_failure_leaves_its_type_and_not_its_message(exported: InMemorySpanExporter) -> None:
    failing = process_spans("portal", {"handoff.cases": [SENT]})
    with pytest.raises(ValueError, match=CANARY), failing:
        raise ValueError(CANARY)
    (span,) = exported.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes is not None
    assert span.attributes["error.type"] == "ValueError"
    assert CANARY not in span.to_json()


def test_nothing_is_exported_unless_an_endpoint_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    assert TelemetrySettings.from_environment().otlp_endpoint is None
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")
    assert TelemetrySettings.from_environment().otlp_endpoint == "http://collector:4318"
    setup("partner", TelemetrySettings()).shutdown()


# -- metrics -------------------------------------------------------------------------------------


def test_the_table_is_well_formed() -> None:
    assert len({spec.name for spec in METRICS}) == len(METRICS)
    for spec in METRICS:
        assert spec.name.startswith("handoff_")
        assert spec.name.endswith("_total") == (spec.kind == "counter")
        assert spec.help
        assert spec.unit
        assert not any(label == "id" or label.endswith("_id") for label in spec.labels)


def test_declared_metrics_are_counted_and_shown() -> None:
    metrics = Metrics()
    metrics.set("handoff_outbox_pending", 3, service="intake")
    metrics.count("handoff_consent_denials_total", reason="withdrawn")
    metrics.count("handoff_consent_denials_total", 2, reason="withdrawn")
    metrics.observe("handoff_end_to_end_seconds", 0.004, group="g", topic="handoff.cases")
    assert metrics.value("handoff_outbox_pending", service="intake") == 3
    text = metrics.exposition().decode()
    assert 'handoff_consent_denials_total{reason="withdrawn"} 3.0' in text
    assert (
        'handoff_end_to_end_seconds_bucket{group="g",le="0.005",topic="handoff.cases"} 1.0' in text
    )
    assert process_metrics() is process_metrics()


def test_what_is_not_declared_raises() -> None:
    metrics = Metrics()
    with pytest.raises(UndeclaredMetric):
        metrics.count("handoff_surprises_total")
    with pytest.raises(UndeclaredMetric):
        metrics.count("handoff_outbox_pending", service="intake")
    with pytest.raises(UndeclaredMetric):
        metrics.set("handoff_outbox_pending", 1)
    with pytest.raises(UndeclaredMetric):
        metrics.set("handoff_outbox_pending", 1, service="intake", shard="1")


@pytest.mark.parametrize(
    "value",
    ["a3bb189e-8bf9-4888-9912-ace4e6543002", "resident@example.org", "6175550123", "x" * 200],
)
def test_a_label_that_looks_like_an_id_raises(value: str) -> None:
    with pytest.raises(UndeclaredMetric):
        Metrics().set("handoff_outbox_pending", 1, service=value)


# -- logs ----------------------------------------------------------------------------------------


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level, logging.raiseExceptions)
    hooks = (sys.excepthook, threading.excepthook)
    stream = io.StringIO()
    configure_logging(stream=stream)
    yield stream
    root.handlers[:], level, logging.raiseExceptions = before
    root.setLevel(level)
    sys.excepthook, threading.excepthook = hooks
    logging.captureWarnings(capture=False)


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_has_the_trace_and_whitelisted_extras_alone(logged: io.StringIO) -> None:
    with server_span("GET", SENT):
        logging.getLogger("x").info("took %d", 3, extra={"topic": "handoff.cases", "name_": CANARY})
    (line,) = lines(logged)
    assert line.items() >= {
        ("level", "INFO"),
        ("logger", "x"),
        ("message", "took 3"),
        ("trace_id", TRACE),
        ("topic", "handoff.cases"),
    }
    assert CANARY not in logged.getvalue()


def test_an_exception_leaves_types_and_places(logged: io.StringIO) -> None:
    def inner() -> None:
        try:
            raise KeyError(CANARY)
        except KeyError as error:
            raise ValueError(f"bad {CANARY}") from error

    try:
        inner()
    except ValueError:
        logging.getLogger("x").exception("could not")
    (line,) = lines(logged)
    error = line["error"]
    assert isinstance(error, dict)
    assert error["type"] == "ValueError"
    assert error["at"][-1].endswith(" inner")
    assert error["causes"][0].startswith("KeyError at test_telemetry.py:")
    assert CANARY not in logged.getvalue()


def test_our_own_failures_keep_their_message(logged: io.StringIO) -> None:
    logging.getLogger("x").warning("no", exc_info=NotVisible())
    (line,) = lines(logged)
    assert line["error"] == {
        "type": "NotVisible",
        "at": [],
        "message": "There is nothing here that the caller may see.",
        "code": "not-found",
    }


def test_a_group_names_each(logged: io.StringIO) -> None:
    group = ExceptionGroup("tasks", [ValueError(CANARY), KeyError(CANARY)])
    logging.getLogger("x").error("no", exc_info=group)
    assert [e["type"] for e in lines(logged)[0]["error"]["group"]] == ["ValueError", "KeyError"]
    assert CANARY not in logged.getvalue()


def test_what_python_itself_would_print_is_taken_too(logged: io.StringIO) -> None:
    error = ValueError(CANARY)
    sys.excepthook(ValueError, error, None)
    thread = threading.Thread(target=lambda: [][CANARY])  # type: ignore[call-overload]
    thread.start()
    thread.join()
    logging.getLogger("asyncio").error(
        "Task exception was never retrieved\nfuture: <Task exception=ValueError('%s')>", CANARY
    )
    logging.getLogger("asyncio").error("Exception in callback f('%s')", CANARY)
    logging.getLogger("httpx").info("GET /intake/v1/receipts/%s", CANARY)
    assert [line["message"] for line in lines(logged)] == [
        "uncaught",
        "uncaught in a thread",
        "Task exception was never retrieved",
        "Exception",
    ]
    assert CANARY not in logged.getvalue()
