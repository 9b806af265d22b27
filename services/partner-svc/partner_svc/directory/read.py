"""The one entrance: a source → a `Reading`, or a refusal of the whole."""

from collections.abc import Callable
from pathlib import Path

from partner_svc.directory import flatten, ohana, older
from partner_svc.directory.assemble import assemble
from partner_svc.directory.layout import Raw, detect, parse_files, require
from partner_svc.directory.model import (
    FORMATS,
    DirectoryRefused,
    Feed,
    Format,
    Reading,
)
from partner_svc.directory.references import plain_ids
from partner_svc.directory.report import Report
from partner_svc.directory.sources import load_files
from partner_svc.directory.terms import TermMap, take_terms

AUTO = "auto"
_FEED_OF: dict[Format, Callable[[Raw], Feed]] = {
    "hsds-3": flatten.feed_of,
    "hsds-2": older.feed_of,
    "hsds-1": older.feed_of,
    "ohana": ohana.feed_of,
}
_ALIKE = frozenset({"hsds-1", "hsds-2"})
"""1.1 and 2.0 share their tables; a folder is read the same by either name."""


def read(
    source: Path | bytes, *, format: str = AUTO, source_name: str, terms: TermMap | None
) -> Reading:
    """Read a directory: a file, a folder, a zip, or the bytes of a file or zip.

    ``format``: "auto", or one of `FORMATS`, which must fit what is found. ``source_name`` goes
    into the ids of records that have no UUID: the same name again is an update. ``terms`` maps
    the feed's terms to kinds of need; a mapping that lies in the feed has the last word. Without
    any only what the feed states itself counts.

    Raises `DirectoryRefused` for a source refused whole; nothing else for bad input.
    """
    if format not in (AUTO, *FORMATS):
        raise DirectoryRefused(f"unknown format {format!r}; use auto or {', '.join(FORMATS)}")
    files = load_files(source)
    own = take_terms(files)
    if own is not None:
        terms = own if terms is None else terms.joined(own)
    raw = parse_files(files)
    found = detect(raw)
    if format not in (AUTO, found) and not {format, found} <= _ALIKE:
        raise DirectoryRefused(
            f"is {found}, not {format}; leave the format at auto or give {found}"
        )
    require(raw, found)
    for table, rows in raw.tables.items():
        for number, values in rows:
            plain_ids(table, number, values, raw.notes)
    feed = _FEED_OF[found](raw)
    report = Report(feed.notes)
    directory, summary, places = assemble(feed, source_name, terms, report)
    named: Format = next((f for f in FORMATS if f == format), found)
    return Reading(directory, report.rows(), named, summary, places)
