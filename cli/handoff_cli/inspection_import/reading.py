"""Read a department's export through a map."""

import csv
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from handoff_cli.inspection_import.errors import ImportRefused, Refusal, Reject
from handoff_cli.inspection_import.grouping import (
    Groups,
    Inspection,
    body_of,
    group_of,
    is_left_out,
)
from handoff_cli.inspection_import.maps import InspectionMap
from handoff_cli.inspection_import.records import FlatRow
from handoff_cli.inspection_import.sources import Progress, fits, rows

# With these every rejects file begins.
REJECT_COLUMNS = ("row", "column", "reason")


@dataclass
class Reading:
    """A file read: inspections to post, rows that were not taken, rows in all.

    ``lost`` counts the inspections of which no row was taken: a group's rejected rows are one. A
    rejected row of an inspection whose other rows are good loses none. ``left_out`` counts the
    rows that the map's ``only`` and ``skip`` leave out; None where the map has neither.
    """

    inspections: list[Inspection] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    rows: int = 0
    lost: int = 0
    left_out: int | None = None


def read(
    map_: InspectionMap,
    path: Path,
    progress: Progress | None = None,
    now: datetime | None = None,
) -> Reading:
    """The inspections in ``path``, a file or a folder of files.

    ``now``, aware, is the machine's clock if left out; inspections lie before it. A shipped map
    stands for all of its city's maps: the first that fits the file is used.
    Raises `ImportRefused` where the whole file cannot be used; nothing is taken then.
    """
    chosen = map_
    if map_.alternatives:
        chosen = next((one for one in (map_, *map_.alternatives) if fits(one, path)), map_)
    now = now or datetime.now(UTC)
    filters = bool(chosen.only or chosen.skip)
    reading, groups = Reading(), Groups()
    left_out = 0
    refused: list[str | None] = []
    try:
        for row in rows(chosen, path, progress):
            reading.rows += 1
            if isinstance(row, Reject):
                reading.rejects.append(row)
                refused.append(_group_of(chosen, row))
                continue
            try:
                if filters and is_left_out(chosen, row):
                    left_out += 1
                    continue
                groups.add(row, body_of(chosen, row, now))
            except Refusal as refusal:
                reject = Reject(row.number, refusal.column, refusal.reason, row.raw, row.file)
                reading.rejects.append(reject)
                refused.append(group_of(chosen, row))
    except OSError as error:
        raise ImportRefused(path, f"cannot be read: {error.strerror}") from error
    if filters:
        reading.left_out = left_out
    named = {group for group in refused if group is not None and group not in groups}
    reading.lost = len(named) + refused.count(None)
    for result in groups.results():
        if isinstance(result, Reject):
            reading.rejects.append(result)
            reading.lost += 1
        else:
            reading.inspections.append(result)
    reading.rejects.sort(key=lambda reject: (reject.file, reject.row))
    return reading


def _group_of(map_: InspectionMap, reject: Reject) -> str | None:
    """The group of a row with the wrong number of cells, as far as it has that column."""
    raw = {name: str(value) for name, value in reject.raw.items()}
    return group_of(map_, FlatRow(reject.row, reject.file, raw, map_.empty))


def write_rejects(path: Path, rejects: Iterable[Reject]) -> None:
    """Write a CSV that only its owner may read: row, column, reason, then the row as it was.

    Where the rows come from several files, ``file`` follows the reason. A column of the export
    that has one of these names is written as ``… (source)``.
    """
    rejects = list(rejects)
    own = list(REJECT_COLUMNS)
    if len({reject.file for reject in rejects}) > 1:
        own.append("file")
    names = list(dict.fromkeys(name for reject in rejects for name in reject.raw))
    titles = [f"{name} (source)" if name in own else name for name in names]
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    # Half of a surrogate pair, which JSON can hold, is no text that a file could.
    with os.fdopen(
        descriptor, "w", encoding="utf-8", errors="backslashreplace", newline=""
    ) as file:
        writer = csv.writer(file)
        writer.writerow([*own, *titles])
        for reject in rejects:
            lead = [reject.row, reject.column or "", reject.reason, reject.file][: len(own)]
            writer.writerow([*lead, *(_cell(reject.raw.get(name)) for name in names)])


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
