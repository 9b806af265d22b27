"""JSON logs, one line a record, that cannot hold what a resident said.

An exception is written as its types and places. Its message is left out unless it is a
HandoffError, since a database driver's or a parser's message may hold a value. Extras are taken
from a closed list.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
import traceback
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TextIO

import orjson

from handoff_kit.errors import HandoffError
from handoff_kit.telemetry.context import current

__all__ = ["EXTRAS", "JsonFormatter", "configure_logging", "describe_exception"]

EXTRAS: Final = frozenset(
    {
        "agency",
        "attempts",
        "code",
        "count",
        "duration_ms",
        "event_id",
        "event_type",
        "group",
        "method",
        "offset",
        "partition",
        "pid",
        "port",
        "reason",
        "route",
        "seconds",
        "service",
        "shard",
        "status",
        "topic",
        "version",
    }
)

# These write whole addresses (a receipt is in one) or statements on INFO or DEBUG.
_QUIET: Final = (
    "aiokafka",
    "asyncpg",
    "hpack",
    "httpcore",
    "httpx",
    "opentelemetry",
    "sqlalchemy",
    "uvicorn.access",
)
_DEEPEST = 20  # frames and causes kept


class JsonFormatter(logging.Formatter):
    """time, level, logger, message, trace_id, span_id, error, and what is in EXTRAS."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": _message(record),
        }
        context = current()
        if context is not None:
            line["trace_id"] = context.trace_id
            line["span_id"] = context.span_id
        for name in EXTRAS & record.__dict__.keys():
            line[name] = record.__dict__[name]
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = describe_exception(record.exc_info[1])
        return orjson.dumps(line, default=_type_name).decode()


def _message(record: logging.LogRecord) -> str:
    # asyncio appends the task with its exception, or the callback with its arguments.
    text = record.getMessage()
    return re.split(r"\n| in callback ", text, maxsplit=1)[0] if record.name == "asyncio" else text


def _type_name(value: object) -> str:
    return type(value).__qualname__


def describe_exception(error: BaseException) -> dict[str, Any]:
    """Type and places of an exception and its causes; the message of a HandoffError alone."""
    described: dict[str, Any] = {"type": _type_name(error), "at": _places(error.__traceback__)}
    if isinstance(error, HandoffError):
        described["message"] = error.detail
        described["code"] = error.code
    causes: list[str] = []
    seen = {id(error)}
    cause = _cause(error)
    while cause is not None and id(cause) not in seen and len(causes) < _DEEPEST:
        seen.add(id(cause))
        places = _places(cause.__traceback__)
        causes.append(f"{_type_name(cause)} at {places[-1]}" if places else _type_name(cause))
        cause = _cause(cause)
    if causes:
        described["causes"] = causes
    if isinstance(error, BaseExceptionGroup):
        described["group"] = [describe_exception(inner) for inner in error.exceptions[:_DEEPEST]]
    return described


def _cause(error: BaseException) -> BaseException | None:
    if error.__cause__ is not None:
        return error.__cause__
    return None if error.__suppress_context__ else error.__context__


def _places(trace: TracebackType | None) -> list[str]:
    frames = traceback.StackSummary.extract(traceback.walk_tb(trace), lookup_lines=False)
    return [
        f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames[-_DEEPEST:]
    ]


def configure_logging(level: str = "INFO", stream: TextIO | None = None) -> None:
    """All logs of this process as JSON on `stream` (default: standard error).

    Also takes what would be written by Python itself: exceptions that nobody caught, in the main
    thread and in others.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    # A record that cannot be formatted would be printed with its arguments.
    logging.raiseExceptions = False
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    logging.getLogger("handoff").critical("uncaught", exc_info=(kind, error, trace))


def _uncaught_in_thread(arguments: threading.ExceptHookArgs) -> None:
    error = arguments.exc_value
    if error is not None:
        logging.getLogger("handoff").critical("uncaught in a thread", exc_info=error)
