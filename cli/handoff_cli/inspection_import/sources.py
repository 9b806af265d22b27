"""The rows of an export, a file or a folder of files. Streams its input."""

from collections.abc import Callable, Iterator
from pathlib import Path

from handoff_cli.inspection_import.csvrows import Tap, csv_rows, header_of
from handoff_cli.inspection_import.encodings import codec_for
from handoff_cli.inspection_import.errors import ImportRefused, Reject
from handoff_cli.inspection_import.jsonrows import Names, file_row, json_rows, line_rows
from handoff_cli.inspection_import.maps import InspectionMap
from handoff_cli.inspection_import.records import FlatRow, NestedRow
from handoff_cli.inspection_import.xlsxrows import xlsx_fits, xlsx_rows

REJECTS = ".rejects.csv"
"""How the name of a rejects file ends, unless another was given."""

Progress = Callable[[int, int], None]
"""Called now and then with the bytes read so far and the bytes in all."""

Found = FlatRow | NestedRow | Reject


def rows(map_: InspectionMap, path: Path, progress: Progress | None = None) -> Iterator[Found]:
    """The rows in the file's order, and a reject for each that cannot be read.

    Raises `ImportRefused` for what spoils the whole file.
    """
    files = files_of(map_, path)
    total = sum(one.stat().st_size for one in files)
    done = 0
    names = Names(map_)
    for number, one in enumerate(files, start=1):
        tell = _teller(progress, done, total)
        found: Iterator[Found]
        match map_.format:
            case "csv":
                found = csv_rows(map_, one, tell)
            case "xlsx":
                found = xlsx_rows(map_, one, tell)
            case "json":
                found = json_rows(map_, one, tell)
            case "json-lines":
                found = line_rows(map_, one, tell)
            case "json-files":
                found = file_row(map_, one, number, alone=len(files) == 1)
        for row in found:
            if isinstance(row, NestedRow):
                names.look(row)
            yield row
        done += one.stat().st_size
        if progress:
            progress(done, total)
    names.check(path)


def files_of(map_: InspectionMap, path: Path) -> list[Path]:
    """The file, or the files of the folder in the order of their names.

    Rejects of an earlier import, which may lie beside the export, are no part of it.
    """
    if not path.exists():
        raise ImportRefused(path, "does not exist")
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise ImportRefused(path, "is neither a file nor a folder")
    endings = {
        "csv": {".csv"},
        "xlsx": {".xlsx", ".xlsm"},
        "json-lines": {".jsonl", ".ndjson", ".json"},
    }
    wanted = endings.get(map_.format, {".json"})
    files = sorted(
        one
        for one in path.iterdir()
        if one.is_file()
        and one.suffix.lower() in wanted
        and not one.name.startswith((".", "~$"))  # "~$": Excel's mark of an open file.
        and not one.name.endswith(REJECTS)
    )
    if not files:
        raise ImportRefused(path, f"is a folder without any {' or '.join(sorted(wanted))} file")
    return files


def _teller(progress: Progress | None, before: int, total: int) -> Callable[[int], None]:
    def tell(position: int) -> None:
        if progress:
            progress(before + position, total)

    return tell


def fits(map_: InspectionMap, path: Path) -> bool:
    """Does the file look like the map's: its format, and all required columns?

    Reads no further than the first row; what is broken later is found by `rows`.
    """
    try:
        one = files_of(map_, path)[0]
        if map_.format == "xlsx":
            return xlsx_fits(map_, one)
        codec = codec_for(one, map_.encoding)
        with one.open(encoding=codec, newline="") as file:
            looks_json = file.read(4096).lstrip()[:1] in {"{", "["}
            if (map_.format == "csv") == looks_json:
                return False
            if looks_json:
                return True
            file.seek(0)
            header_of(map_, one, Tap(file))
    except (ImportRefused, OSError, UnicodeError):
        return False
    return True
