"""Pure decisions: what a record says, and what is to become of each event of a set."""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from event_schemas.registry import BY_TOPIC_AND_TYPE, TOPICS
from pydantic import ValidationError

from handoff_kit.bus.ports import Place, Record
from handoff_kit.consumer.model import (
    BEHIND,
    BODY_UNREADABLE,
    GAP,
    HEADERS_UNREADABLE,
    Entry,
    Gate,
    GateKey,
    Group,
    Identity,
    Plan,
    Received,
)
from handoff_kit.db import DATABASE_AWAY
from handoff_kit.errors import Fate, HandoffError, Waiting
from handoff_kit.tx import Cause


def decode(record: Record, group: Group) -> Entry:
    """Read headers and body; never raises."""
    entry = Entry(record)
    headers = record.headers
    entry.event_id = headers.get("ce_id", "")
    entry.source = headers.get("ce_source", "")
    entry.type = headers.get("ce_type", "")
    entry.agency = headers.get("ce_agency", "")
    if not (entry.event_id and entry.source and entry.type and entry.agency):
        missing = [n for n in ("ce_id", "ce_source", "ce_type", "ce_agency") if not headers.get(n)]
        entry.fault, entry.detail = HEADERS_UNREADABLE, f"missing: {', '.join(missing)}"
        return entry
    try:
        text = headers.get("ce_sequence")
        entry.sequence = int(text) if text is not None else None
        time = headers.get("ce_time")
        at = datetime.fromisoformat(time) if time else datetime.now().astimezone()
    except ValueError:
        entry.fault, entry.detail = HEADERS_UNREADABLE, "ce_sequence or ce_time is malformed"
        return entry
    model = BY_TOPIC_AND_TYPE.get((record.topic, entry.type))
    if model is None or model not in group.events:
        return entry
    try:
        data = model.model_validate_json(record.value)
    except ValidationError as error:
        entry.fault, entry.detail = BODY_UNREADABLE, _fields(error)
        return entry
    if group.needless is not None and group.needless(data):
        return entry
    traceparent = headers.get("traceparent")
    entry.received = Received(
        data,
        entry.event_id,
        entry.source,
        entry.agency,
        at,
        record.topic,
        record.key,
        entry.sequence,
        Cause(traceparent) if traceparent and len(traceparent) == 55 else Cause.new(),
    )
    return entry


def _fields(error: ValidationError) -> str:
    """Where and how a body is wrong, without any of its values."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, f['loc']))}: {f['type']}" for f in faults[:10])


def plan(
    entries: Sequence[Entry],
    gates: dict[GateKey, Gate],
    seen: set[Identity],
    waits: Mapping[Identity, str],
) -> Plan:
    """Decide for each entry, in order: deliver, skip, park. Moves *gates* and *seen* on.

    *waits*: events that the handler has said must wait, and for what.
    """
    result = Plan()
    for entry in entries:
        if entry.sequence is None:
            if entry.identity in seen:
                result.duplicates += 1
                continue
            if entry.event_id:
                seen.add(entry.identity)
            _place(entry, result, None, waits)
            continue
        gate = gates.setdefault(entry.gate_key, Gate(0, blocked=False, known=False))
        if not gate.known and TOPICS.get(entry.record.topic, _FOREVER).retention is not None:
            # What came before may have been dropped by the topic's retention.
            gate.sequence = entry.sequence - 1
        gate.known = True
        if entry.sequence <= gate.sequence or entry.sequence in gate.held:
            result.duplicates += 1
        elif entry.sequence == gate.sequence + 1:
            _place(entry, result, gate, waits)
        else:
            state, reason = ("behind", BEHIND) if gate.blocked else ("waiting", GAP)
            park(entry, result, gate, state, reason, "")
    return result


_FOREVER = TOPICS["handoff.cases"]


def _place(entry: Entry, result: Plan, gate: Gate | None, waits: Mapping[Identity, str]) -> None:
    if entry.fault is not None:
        park(entry, result, gate, "failed", entry.fault, entry.detail)
        return
    if entry.received is not None and entry.identity in waits:
        park(entry, result, gate, "waiting", Waiting.default_code, waits[entry.identity])
        return
    if gate is not None:
        gate.sequence = entry.sequence or gate.sequence
    if entry.received is None:
        topic = entry.record.topic
        result.skipped[topic] = result.skipped.get(topic, 0) + 1
    else:
        result.deliver.append(entry)


def park(
    entry: Entry, result: Plan, gate: Gate | None, state: str, reason: str, detail: str
) -> None:
    if gate is not None and entry.sequence is not None:
        gate.blocked = True
        gate.held |= {entry.sequence}
    result.park.append((entry, state, reason, detail))


def merged(records: Iterable[Record]) -> list[Record]:
    """Interleave partitions by the time that events were said, each partition's order kept.

    So that a handler rarely meets an answer before what it answers.
    """
    streams: dict[Place, list[Record]] = {}
    for record in records:
        streams.setdefault((record.topic, record.partition), []).append(record)
    if len(streams) == 1:
        return next(iter(streams.values()))
    return list(heapq.merge(*streams.values(), key=lambda r: r.headers.get("ce_time", "")))


def fate_of(error: Exception) -> tuple[str, str, str]:
    """(state, reason, detail) of an event whose handling raised *error*.

    An exception that is not ours gives its type alone, since its text may hold values.
    """
    if isinstance(error, Waiting):
        return "waiting", error.code, error.detail
    if isinstance(error, HandoffError):
        return "failed", error.code, error.detail
    return "failed", type(error).__name__, "unexpected; see the log of the worker"


def is_event_fault(error: Exception) -> bool:
    """Whether the event, and not the world around it, made the handling fail."""
    if isinstance(error, HandoffError):
        return error.fate is not Fate.RETRY
    return not isinstance(error, DATABASE_AWAY)
