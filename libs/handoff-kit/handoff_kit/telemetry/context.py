"""W3C Trace Context as plain values, without building a span.

A traceparent is `00-<32 hex>-<16 hex>-<2 hex>` (W3C Trace Context, 3.2). The functions here cost
about a microsecond each and are what events and log lines use.
"""

from __future__ import annotations

import re
from contextvars import ContextVar, Token
from dataclasses import dataclass

from handoff_kit.ids import random8, random16

__all__ = [
    "TraceContext",
    "activate",
    "child_of",
    "child_traceparent",
    "current",
    "current_trace_id",
    "current_traceparent",
    "deactivate",
    "new_traceparent",
    "parse_traceparent",
    "trace_id_of",
]

# A later version may append parts, which we do not read (W3C Trace Context, 4.3).
_TRACEPARENT = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
)


@dataclass(frozen=True, slots=True)
class TraceContext:
    """Where we are in a trace: lower-case hex ids, and the trace flags ("01": sampled)."""

    trace_id: str
    span_id: str
    flags: str = "00"

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"


_current: ContextVar[TraceContext | None] = ContextVar("handoff_trace", default=None)


def parse_traceparent(text: str | None) -> TraceContext | None:
    """None where the text is no traceparent; a broken one starts a new trace (W3C, 4.2)."""
    found = _TRACEPARENT.fullmatch(text) if text else None
    if found is None or (found[1] == "00" and found[5]):
        return None
    return TraceContext(found[2], found[3], found[4])


def child_of(parent: TraceContext | None) -> TraceContext:
    """A new span id in the parent's trace, or the root of a new trace."""
    if parent is None:
        return TraceContext(random16().hex(), random8().hex())
    return TraceContext(parent.trace_id, random8().hex(), parent.flags)


def new_traceparent() -> str:
    """The root of a new trace."""
    return child_of(None).traceparent


def child_traceparent(parent: str | None = None) -> str:
    """A step further in this trace; without one, in the current trace, or in a new one."""
    return child_of(parse_traceparent(parent) or _current.get()).traceparent


def trace_id_of(traceparent: str | None) -> str | None:
    """The trace id, or None."""
    context = parse_traceparent(traceparent)
    return context.trace_id if context else None


def current() -> TraceContext | None:
    """The trace context of this task, if it is in one."""
    return _current.get()


def current_trace_id() -> str | None:
    context = _current.get()
    return context.trace_id if context else None


def current_traceparent() -> str | None:
    context = _current.get()
    return context.traceparent if context else None


def activate(context: TraceContext) -> Token[TraceContext | None]:
    """Make this the task's trace context until `deactivate`."""
    return _current.set(context)


def deactivate(token: Token[TraceContext | None]) -> None:
    _current.reset(token)
