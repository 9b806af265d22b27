"""Small exports of inspections read through a map, and what came of them."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from handoff_cli.inspection_import import Reading, load_map, read

MAP = """\
format: csv
source: test
timezone: America/New_York
fields:
  source_id: {column: id}
  inspected_at: {column: at, format: ["%m/%d/%Y %H:%M", "%m/%d/%Y"]}
  property.address.line1: {column: addr}
"""


def read_export(
    folder: Path, map_: str, data: Any, name: str = "export.csv", now: datetime | None = None
) -> Reading:
    """*data*: text, bytes, or what is to be written as JSON."""
    (folder / "map.yaml").write_text(map_)
    path = folder / name
    if not isinstance(data, str | bytes):
        data = json.dumps(data)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return read(load_map(str(folder / "map.yaml")), path, now=now)


def reasons(reading: Reading) -> list[tuple[int, str | None, str]]:
    return [(one.row, one.column, one.reason) for one in reading.rejects]


def bodies_by_id(reading: Reading) -> dict[str, dict[str, Any]]:
    return {one.body["source_id"]: one.body for one in reading.inspections}
