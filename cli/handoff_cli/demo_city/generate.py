"""Writes the demo city's files: ``python -m handoff_cli.demo_city.generate [FOLDER]``.

The same seed gives the same bytes; a test holds what is committed against what this writes.
"""

import json
import sys
from pathlib import Path
from typing import Any

from handoff_kit.cities import city_folder

from handoff_cli.demo_city.catalogue import STAFF
from handoff_cli.demo_city.directory import tables
from handoff_cli.demo_city.ids import CITY, organization_id
from handoff_cli.demo_city.places import SEED, areas_geojson, land

DOMAIN = "demo-city.example"
_STAFF_HEAD = (
    "# Demo sign-ins, one for each seat: roles, no persons. Passwords are made when the demo city\n"
    "# is brought in. Written by handoff_cli/demo_city/generate.py.\n"
)


def files(seed: int = SEED) -> dict[str, str]:
    """Path below the city's folder → content."""
    ground = land(seed)
    written = {"areas.geojson": _lines(areas_geojson(ground.areas), "features")}
    for name, rows in tables(ground, seed).items():
        written[f"directory/{name}.json"] = json.dumps(rows, indent=1, ensure_ascii=False) + "\n"
    written["staff.yaml"] = _STAFF_HEAD + "staff:\n" + "".join(_seats())
    return written


def _lines(collection: dict[str, Any], key: str) -> str:
    """JSON with one entry a line: small, and readable as a difference."""
    head = {name: value for name, value in collection.items() if name != key}
    rows = ",\n".join(json.dumps(row, ensure_ascii=False) for row in collection[key])
    return f'{json.dumps(head)[:-1]}, "{key}": [\n{rows}\n]}}\n'


def _seats() -> list[str]:
    return [
        f"  - {{email: {seat.key}@{DOMAIN}, title: {seat.title}, role: {seat.role},"
        f" organization: {organization_id(seat.organization)}}} # {seat.organization}\n"
        for seat in STAFF
    ]


def write(folder: Path, seed: int = SEED) -> list[Path]:
    """Write every file that differs; returns those."""
    changed = []
    for name, content in files(seed).items():
        path = folder / name
        if path.exists() and path.read_text("utf-8") == content:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")
        changed.append(path)
    return changed


if __name__ == "__main__":
    for changed_file in write(Path(sys.argv[1]) if len(sys.argv) > 1 else city_folder(CITY)):
        sys.stdout.write(f"{changed_file}\n")
