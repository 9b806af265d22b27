"""The cities' real files, read where they are and never kept (`handoff_kit.testing.plugin`)."""

import csv
import os
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]


def data() -> Path | None:
    """The folder of real data, by ``HANDOFF_SHARED`` (default ``../shared``); None without it."""
    folder = Path(os.environ.get("HANDOFF_SHARED", _ROOT.parent / "shared")) / "data"
    return folder if folder.is_dir() else None


def boston(folder: Path) -> Path:
    return folder / "01_inspections" / "boston_ma" / "boston_isd_building_violations_2023-12-11.csv"


def baltimore(folder: Path) -> Path:
    return folder / "02_hsds" / "baltimore_charmcare_ohana_csv_real"


def rows(path: Path) -> tuple[list[str], list[list[str]]]:
    """A CSV's header and its rows, each as long as the header."""
    with path.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.reader(lines)
        header = next(reader)
        width = len(header)
        return header, [(row + [""] * width)[:width] for row in reader if row]


def head(path: Path, number: int, target: Path) -> Path:
    """The header and the first *number* rows, as a file of its own."""
    header, found = rows(path)
    with target.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow(header)
        writer.writerows(found[:number])
    return target
